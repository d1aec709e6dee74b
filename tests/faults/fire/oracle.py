"""The verdict on a run: everything that was asked for happened, once, and nothing else is there."""

import asyncio
import hashlib
import sys
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import orjson

from faults.fire import outside
from faults.fire.load import Hook, Load
from faults.fire.script import ENDINGS
from faults.fire.stage import Stage, survivors
from faults.report import Findings, Row
from support import eventually

TERMINAL = frozenset({*ENDINGS, "busbar.policy.denied.v1", "busbar.policy.expired.v1"})


def row_of(findings: Findings, scenario: str, stage: Stage) -> Row:
    """The row; the sentences go to standard error."""
    for column, found in findings.sentences().items():
        for sentence in found:
            sys.stderr.write(f"{scenario} (seed {stage.seed}): {column}: {sentence}\n")
    row = Row(scenario=scenario, seed=stage.seed, process_kills=stage.kills)
    return row.plus(**findings.counts())


async def settle(stage: Stage, load: Load, findings: Findings) -> None:
    """Wait until nothing goes on any more; what does not end is found stuck."""
    if not await load.settled():
        findings.stuck += [f"{ask.id} has not ended" for ask in load.open()]
    for what, check in (
        ("a process that is ready", stage.unready),
        ("a task that is done", lambda: outside.due_tasks(stage)),
        ("a consumer that has read everything", lambda: outside.lag(stage.kafka.bootstrap)),
    ):
        try:
            await eventually(_none(check), within=40, every=0.2, what=what)
        except AssertionError as error:
            findings.stuck.append(f"{error}: {await check()}")


def _none(check: Any) -> Any:
    async def none() -> bool:
        return not await check()

    return none


async def judge(stage: Stage, load: Load, hook: Hook, findings: Findings) -> None:
    """Compare what was asked for with what is there."""
    facts = await outside.facts(stage.kafka.bootstrap)
    _judge_ends(load, facts, findings)
    _judge_epochs(facts, findings)
    await _judge_states(stage, load, findings)
    await _judge_world(stage, load, findings)
    await _judge_hooks(load, hook, findings)
    await _judge_log(stage, findings)


def _judge_ends(load: Load, facts: Iterable[outside.Fact], findings: Findings) -> None:
    ends: dict[str, list[str]] = defaultdict(list)
    why: dict[str, object] = {}
    for fact in facts:
        if fact.type in TERMINAL:
            operation = str(fact.data["operation"])
            ends[operation].append(fact.type)
            why[operation] = fact.data.get("detail") or fact.data.get("reason")
    for ask in load.asked:
        found = ends.pop(load.operation(ask), [])
        if not found:
            findings.lost.append(f"{ask.id} has no last fact")
        elif len(found) > 1:
            findings.duplicated.append(f"{ask.id} has {len(found)} last facts: {found}")
        elif ENDINGS.get(found[0]) != ask.ends:
            said = why[load.operation(ask)]
            findings.lost.append(f"{ask.id} ended as {found[0]} ({said}), not as {ask.ends}")
    findings.leaked += [f"{operation} ended, and was not requested" for operation in ends]


def _judge_epochs(facts: Iterable[outside.Fact], findings: Findings) -> None:
    """Check that no step is recorded under an epoch after one under a later epoch."""
    newest: dict[str, int] = {}
    for fact in facts:
        epoch, resource = fact.data.get("epoch"), str(fact.data.get("resource"))
        if not isinstance(epoch, int):
            continue
        if epoch < newest.get(resource, 0):
            findings.duplicated.append(
                f"{resource}: {fact.type} under epoch {epoch} after {newest[resource]}"
            )
        newest[resource] = max(epoch, newest.get(resource, 0))


async def _judge_states(stage: Stage, load: Load, findings: Findings) -> None:
    views = {view.id: view async for view in stage.client.resources()}
    for script in load.scripts:
        view = views.pop(script.resource, None)
        if not script.asked:
            continue
        if view is None:
            findings.lost.append(f"{script.resource} is not known")
        elif script.now is None and view.status not in {"deleted", "failed"}:
            findings.leaked.append(f"{script.resource} is {view.status}, and should not be")
        elif script.now is not None and view.status != "ready":
            findings.lost.append(f"{script.resource} is {view.status}, not ready")
        elif script.now is not None and not _is_like(view.spec, script.now):
            findings.lost.append(f"{script.resource} is {view.spec}, not {script.now}")
    findings.leaked += [f"{name} is known, and was not requested" for name in views]


def _is_like(spec: Any, asked: Any) -> bool:
    """Return whether ``spec`` has all requested values; defaults may be added."""
    if isinstance(asked, dict):
        return all(_is_like(spec.get(name), value) for name, value in asked.items())
    return bool(spec == asked)


async def _judge_world(stage: Stage, load: Load, findings: Findings) -> None:
    seen, wanted = await outside.world(stage), dict[str, dict[str, Any]]()
    for script in load.scripts:
        for thing in script.things(script.now):
            wanted[thing] = outside.expected(script.resource, script.now or {}, thing)
    for thing, like in wanted.items():
        if thing not in seen:
            findings.lost.append(f"{thing} is not there")
        elif seen[thing] != like:
            findings.lost.append(f"{thing} is {seen[thing]}, not {like}")
    findings.leaked += [f"{thing} is there: {seen[thing]}" for thing in seen.keys() - wanted.keys()]
    made = outside.made(stage)
    for script in load.scripts:
        for thing, count in script.made.items():
            if made[thing] > count:
                findings.duplicated.append(f"{thing} was made {made[thing]} times, not {count}")
            elif made[thing] < count:
                findings.lost.append(f"{thing} was made {made[thing]} times, not {count}")


async def _judge_hooks(load: Load, hook: Hook, findings: Findings) -> None:
    """Check that subscribers received every end; a delivery may repeat, under the same id."""
    kinds = {kind: type_ for type_, kind in ENDINGS.items()}
    wanted = {f"{load.operation(ask)} {kinds[ask.ends]}" for ask in load.asked}
    try:
        await eventually(lambda: wanted <= hook.received.keys(), within=30, what="every webhook")
    except AssertionError:
        missing = wanted - hook.received.keys()
        findings.lost += [f"the webhook of {about}" for about in sorted(missing)]
    findings.duplicated += [
        f"the webhook of {about} came as {sorted(ids)}"
        for about, ids in hook.received.items()
        if len(ids) > 1
    ]


async def _judge_log(stage: Stage, findings: Findings) -> None:
    async def complete() -> bool:
        return (await stage.client.completeness()).complete

    try:
        await eventually(complete, within=20, every=0.5, what="a complete log")
    except AssertionError as error:
        report = await stage.client.completeness()
        findings.lost.append(f"audit: {report.problems or error}")


async def digest(stage: Stage) -> str:
    """The state of every resource and operation, in one value."""
    views = [view.model_dump(mode="json") async for view in stage.client.resources()]
    views += [view.model_dump(mode="json") async for view in stage.client.operations()]
    ordered = sorted(orjson.dumps(view, option=orjson.OPT_SORT_KEYS) for view in views)
    return hashlib.sha256(b"\n".join(ordered)).hexdigest()


async def things(stage: Stage) -> tuple[dict[str, Any], dict[str, int]]:
    """Check the things that exist, and how often each was made."""
    return await outside.world(stage), dict(outside.made(stage))


async def after(stage: Stage, findings: Findings) -> None:
    """Check the state after the platform was stopped."""
    await asyncio.to_thread(stage.platform.stop)
    findings.leaked += [f"process {pid} still runs" for pid in survivors(stage.pids)]
