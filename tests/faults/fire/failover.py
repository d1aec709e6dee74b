"""Failover of the store's database to a standby, while the primary hangs."""

import asyncio
import sys
from contextlib import suppress
from time import monotonic

from busbar.messages import topics
from busbar.runtime.store.engines.postgres_checks import schema_of
from faults.fire.kills import ENDLESS
from faults.fire.peers import READY_SECONDS, replaced, tracebacks
from faults.fire.run import Fault, Scene
from faults.fire.stage import REPLICATION, Stage
from support import eventually
from support.postgres import PostgresServer

SYNCHRONOUS = "ALTER SYSTEM SET synchronous_standby_names = '*'"
ALONE = "ALTER SYSTEM RESET synchronous_standby_names"


def failover(count: int) -> Fault:
    """``count`` times, the standby becomes the primary, which hangs, and gets a new standby."""

    async def fault(here: Scene) -> None:
        stage, before, slowest = here.stage, here.stage.alive(), 0.0
        async with here.load.running(longest=ENDLESS):
            for number in range(count):
                standby = await _standby(stage)
                await here.watcher.more(stage.rng.randint(10, 60))
                await _switch(stage, standby)
                seconds = await _until_ready(stage)
                slowest = max(slowest, seconds)
                if seconds > READY_SECONDS:
                    unready = await stage.unready()
                    here.findings.stuck.append(
                        f"failover {number}: ready {seconds:.1f} s later {unready}"
                    )
            await here.watcher.more(20)
        sys.stderr.write(f"failover: {count} times, ready after {slowest:.1f} s at most\n")
        here.findings.lost += replaced(before, stage.alive()) + tracebacks(stage)

    return fault


async def _standby(stage: Stage) -> PostgresServer:
    """Start a standby; from now on a commit is acknowledged once the standby has it."""
    primary = stage.store.server
    standby = PostgresServer(settings=REPLICATION)
    stage.servers.append(standby)
    await asyncio.to_thread(standby.follow, primary)
    standby.start()  # not from a thread: it ends with who started it
    async with stage.store.session(primary.url()) as admin:

        async def streaming() -> bool:
            query = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
            return bool(await admin.fetchval(query))

        await eventually(streaming, within=60, what="a standby that follows")
        await admin.execute(SYNCHRONOUS)
        await admin.execute("SELECT pg_reload_conf()")
    return standby


async def _switch(stage: Stage, standby: PostgresServer) -> None:
    """Freeze the primary, promote ``standby``, and lead every link to it."""
    primary = stage.store.server
    await asyncio.to_thread(primary.freeze)
    async with stage.store.session(standby.url()) as admin:
        await admin.fetchval("SELECT pg_promote(true, 60)")
        await admin.execute(ALONE)
        await admin.execute("SELECT pg_reload_conf()")
    stage.store.server = standby
    for name, link in stage.links.items():
        if name.endswith("store"):
            link.lose()
    stage.kills += 1
    await asyncio.to_thread(primary.kill)


async def _until_ready(stage: Stage) -> float:
    """Return the seconds until every process is ready with the new primary; at most 60."""

    async def works() -> bool:
        async with stage.store.session(stage.store.server.url()) as admin:
            rows = await admin.fetch("SELECT DISTINCT application_name FROM pg_stat_activity")
        found = {row["application_name"] for row in rows}
        return found >= {schema_of(name) for name in topics.SERVICES} and await stage.ready()

    began = monotonic()
    with suppress(AssertionError):
        await eventually(works, within=60, every=0.1)
    return monotonic() - began
