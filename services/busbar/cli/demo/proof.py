"""The last act: explanation, replay and completeness of the audit log; and cleaning up."""

import asyncio
import tempfile
import time
from pathlib import Path

from busbar.cli.demo.acts import Scene
from busbar.cli.demo.stage import require
from busbar.cli.replay.compare import Replay
from busbar.cli.replay.scratch import ScratchState
from busbar.messages.http import Progress, Sentence
from busbar.messages.topics import FACTS_NOTIFICATION, INTENTS_RESOURCE
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.store import open_store


async def act_8(scene: Scene) -> None:
    """Explain an operation, rebuild the state from the log, and check that the log is complete."""
    stage = scene.stage
    stage.title(8, "proof: the explanation, the state rebuilt from the log, and a complete log")
    about = scene.operations[-1]
    stage.report("why", f"busbar why {about}")
    sentences = await stage.until("the whole explanation", lambda: _full_explanation(scene, about))
    for sentence in sentences:
        stage.report(sentence.time[11:23], sentence.text)
    await _check_replay(scene)
    await _check_completeness(scene)


async def _full_explanation(scene: Scene, about: str) -> tuple[Sentence, ...] | None:
    """Return the chain from the request to the webhook, once all of it is in the log."""
    sentences = tuple([sentence async for sentence in scene.stage.client.why(about)])
    topics = [sentence.topic for sentence in sentences]
    is_whole = bool(topics) and topics[0] == INTENTS_RESOURCE and topics[-1] == FACTS_NOTIFICATION
    return sentences if is_whole else None


async def _check_replay(scene: Scene) -> None:
    since = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="busbar-demo-") as folder:
        store = await open_store(Path(folder) / "replay.db", service="replay", clock=SystemClock())
        try:
            replay = Replay(
                scene.stage.client,
                ScratchState(store),
                pause=asyncio.sleep,
                reporter=_Quiet(),
            )
            found = await replay.run()
        finally:
            await store.close()
    scene.stage.report("replay", f"read {replay.counts.records} records of the log", since=since)
    scene.stage.report("rebuilt", found.replayed_digest)
    scene.stage.report("live", found.live_digest)
    differences = ", ".join(f"{item.kind} {item.id} {item.field}" for item in found.differences[:3])
    require(found.identical, f"the rebuilt state differs: {differences}")
    scene.stage.passed(f"identical: {found.resources} resources and {found.operations} operations")


async def _check_completeness(scene: Scene) -> None:
    report = await scene.stage.client.completeness()
    for relay in report.relays:
        scene.stage.report("relay", f"{relay.relay}: {relay.stored} of {relay.head} events stored")
    details = "; ".join(str(problem.get("detail")) for problem in report.problems[:3])
    require(report.complete, f"the audit log is not complete: {details}")
    scene.stage.passed("the audit log is complete, and its digests match those of every service")


async def clean_up(scene: Scene) -> None:
    """Delete what the acts created, by intents."""
    since = time.monotonic()
    prefix = f"{scene.team}/"
    accepted = [
        await scene.stage.client.delete(resource.id)
        async for resource in scene.stage.client.resources(prefix=prefix)
        if resource.status == "ready"
    ]
    for one in accepted:
        view = await scene.stage.client.wait(one.operation, timeout=30)
        require(view.status == "succeeded", f"deleting {view.resource} {view.status}")
    ended = await scene.stage.client.unsubscribe(f"{scene.team}/demo")
    await scene.stage.client.wait(ended.operation, timeout=30)
    left = await scene.broker.topics(f"{scene.team}.")
    require(not left, f"left behind: {left}")
    scene.stage.console.print()
    scene.stage.report(
        "cleaned up", f"{len(accepted)} resources deleted, no topic left", since=since
    )


class _Quiet:
    """A replay this short needs no progress."""

    def progress(self, progress: Progress) -> None:
        """Ignore ``progress``."""
