"""A provisioner that stands still past its lease while it works, and wakes up as a zombie."""

import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psutil

from busbar.runtime.store.engines.postgres_checks import schema_of
from faults.fire import outside
from faults.fire.links import changes
from faults.fire.load import Load
from faults.fire.run import Fault, Scene
from faults.fire.script import Script, scripts
from faults.fire.stage import Stage
from support import eventually

TAKEN_OVER = 180.0
"""The limit in seconds: a lease and a session have to end, and a failed attempt waits up to 30."""

PROVISIONERS = ("provisioner", "provisioner.2")


def pause(rounds: int) -> Fault:
    """``rounds`` times: a batch, a provisioner stopped in it, another that takes over, SIGCONT."""

    async def fault(here: Scene) -> None:
        for number in range(rounds):
            await _round(here, number)

    return fault


@dataclass(frozen=True, slots=True)
class Frozen:
    """The process that stands still, and what it was working on."""

    pid: int
    tasks: tuple[str, ...]


async def _round(here: Scene, number: int) -> None:
    stage = here.stage
    link = stage.links["databases"]
    batch = _batch(here, number)
    load = Load(stage, here.watcher, batch)
    # Work on databases is blocked, so that the process is stopped while it works.
    link.flowing.clear()
    async with load.running(longest=1):
        frozen = await eventually(lambda: _stop_one(stage), within=60, what="a worker to stop")
    if frozen is None:
        raise RuntimeError("no process was stopped")
    late = stage.rng.random() < 0.5
    held = _hold(stage, frozen.pid) if late else []
    link.flowing.set()
    try:
        stage.kills += 1
        await eventually(
            lambda: not load.open(), within=TAKEN_OVER, what=f"others who do the work of {frozen}"
        )
        before = await _seen(here, load)
    except AssertionError:
        await here.explain("before the zombie wakes up")
        raise
    finally:
        for connection in held:
            connection.flowing.set()  # what it had sent arrives only now
        os.kill(frozen.pid, signal.SIGCONT)
    await eventually(stage.ready, within=60, every=0.2, what="everybody ready again")
    await eventually(lambda: _noticed(stage), within=60, every=0.2, what="a zombie that noticed")
    for what, then in before.items():
        if (now := (await _seen(here, load))[what]) != then:
            here.findings.duplicated.append(f"the zombie of {frozen} changed {what}: {then} {now}")


def _batch(here: Scene, number: int) -> list[Script]:
    """Resources of this round alone; the load remembers them for the verdict."""
    stage = here.stage
    made = scripts(stage.seed, stage.team, streams=6, databases=4, first=number * 10)
    here.load.scripts += made
    return made


async def _holders(stage: Stage) -> dict[str, list[str]]:
    """The sagas that are held, by the process that holds them."""
    found: dict[str, list[str]] = {}
    async with stage.store.session(stage.store.owner_url) as session:
        rows = await session.fetch(
            f"SELECT name, holder FROM {schema_of('provisioner')}.tasks"  # noqa: S608 - our own name
            " WHERE kind = 'saga' AND holder IS NOT NULL AND due IS NOT NULL"
        )
    for row in rows:
        found.setdefault(str(row["holder"]).rpartition("-")[2], []).append(row["name"])
    return found


async def _stop_one(stage: Stage) -> Frozen | None:
    """Stop a provisioner that works on a database; None if there is none, or it was done before."""
    victims = list(PROVISIONERS)
    stage.rng.shuffle(victims)
    for name in victims:
        pid = stage.alive()[name]
        if not _on_databases(await _holders(stage), pid):
            continue
        os.kill(pid, signal.SIGSTOP)
        tasks = _on_databases(await _holders(stage), pid)
        if tasks:
            return Frozen(pid, tuple(tasks))
        os.kill(pid, signal.SIGCONT)
    return None


def _on_databases(holders: dict[str, list[str]], pid: int) -> list[str]:
    return [name for name in holders.get(str(pid), []) if "/postgres-database/" in name]


def _hold(stage: Stage, pid: int) -> list[Any]:
    """Hold back what ``pid`` sends and is sent by its open connections to the backend."""
    ports = {one.laddr.port for one in psutil.Process(pid).net_connections("tcp")}
    held = [one for one in stage.links["databases"].connections if one.port in ports]
    for connection in held:
        connection.flowing.clear()
    return held


async def _seen(here: Scene, load: Load) -> dict[str, Any]:
    """The state that a zombie could change: things, requests to backends, and records."""
    stage = here.stage
    names = {thing.split()[-1] for script in load.scripts for thing in _all_things(script)}
    world = await outside.world(stage)
    sent = [data for data in stage.links["databases"].requests if changes(data)]
    facts = await outside.facts(stage.kafka.bootstrap)
    mine = {script.resource for script in load.scripts}
    return {
        "the things": {name: one for name, one in world.items() if name.split()[-1] in names},
        "what was sent": sum(any(name.encode() in data for name in names) for data in sent),
        "the facts": sum(fact.data.get("resource") in mine for fact in facts),
    }


def _all_things(script: Script) -> Iterable[str]:
    return {*script.made, *script.things(script.now)}


async def _noticed(stage: Stage) -> bool:
    """Return whether every saga is released."""
    return not await _holders(stage)
