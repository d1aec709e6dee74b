"""The last act: why, the replay and the completeness of the audit log; and tidying up."""

import asyncio
import tempfile
import time
from pathlib import Path

from busbar.cli.demo.acts import Scene
from busbar.cli.demo.stage import require
from busbar.cli.replay.compare import Replay
from busbar.cli.replay.scratch import ScratchState
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.store import open_store
from busbar.sdk.answers import Sentence


async def act_6(scene: Scene) -> None:
    """Why, and the proof."""
    stage = scene.stage
    stage.title(6, "why, and the proof: the state rebuilt from the log, and the log complete")
    about = scene.operations[-1]
    stage.report("why", f"busbar why {about}")
    sentences = await stage.until("the whole story", lambda: _full_explanation(scene, about))
    for sentence in sentences:
        stage.report(sentence.time[11:23], sentence.text)
    await _check_replay(scene)
    await _check_completeness(scene)


async def _full_explanation(scene: Scene, about: str) -> tuple[Sentence, ...] | None:
    """The chain from the request to the webhook, once all of it is in the log."""
    sentences = await scene.stage.client.why(about)
    texts = [sentence.text for sentence in sentences]
    asked = bool(texts) and "asked for" in texts[0]
    return sentences if asked and "was told of" in texts[-1] else None


async def _check_replay(scene: Scene) -> None:
    since = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="busbar-demo-") as folder:
        store = await open_store(Path(folder) / "replay.db", service="replay", clock=SystemClock())
        try:
            replay = Replay(
                scene.stage.client,
                ScratchState(store),
                pause=asyncio.sleep,
                progress=_ignore_progress,
            )
            found = await replay.run()
        finally:
            await store.close()
    scene.stage.report("replay", f"{replay.counts.records} records of the log read", since=since)
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
    scene.stage.passed("the audit log is complete, and its digests are those that were promised")


async def clean_up(scene: Scene) -> None:
    """Delete what the acts made, by intents like everything else."""
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
        "tidied up", f"{len(accepted)} resources deleted, no topic left", since=since
    )


def _ignore_progress(_text: str) -> None:
    """The replay of a demo's log is over before there is progress to report."""
