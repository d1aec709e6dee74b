"""``rss-*``: the memory of ``busbar up`` at rest. ``replay-1m-memory``: does replaying grow?"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from bench import rows, servers, store_append
from bench.report import Row
from bench.run import Run
from busbar.cli.local.pdeathsig import tied_to_parent
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.store.sql.statements import EVENT_COLUMNS
from support import eventually
from support.postgres_store import StoreCluster

MEGA = 1024 * 1024
REST_SECONDS = 5.0
START_SECONDS = 180.0
FEW_EVENTS = 10_000
_CHUNK = 100

_MULTIPLY = f"""INSERT INTO events ({", ".join(EVENT_COLUMNS)})
SELECT {
    ", ".join(
        f"{name} || '-' || number" if name in ("stream", "id") else name for name in EVENT_COLUMNS
    )
}
FROM (SELECT * FROM events WHERE xid = (SELECT min(xid) FROM events)) AS first,
  generate_series($1::int, $2::int) AS number"""  # noqa: S608 - our own names


async def measure_rest(run: Run) -> list[Row]:
    """Measure the memory of ``busbar up`` and its processes at rest."""
    on_files = await _at_rest(run, {})
    async with servers.postgres(run) as cluster:
        urls = {
            "BUSBAR_DATABASE_URL": cluster.url,
            "BUSBAR_DATABASE_OWNER_URL": cluster.owner_url,
        }
        on_postgres = await _at_rest(run, urls)
    services = {
        f"{name} on {store}": size
        for store, found in (("sqlite", on_files), ("postgres", on_postgres))
        for name, size in found.services.items()
    }
    for name, size in sorted(services.items(), key=lambda item: -item[1]):
        run.say(f"  {name}: {size:.0f} MB")
    return [
        Row(name="rss-service", value=max(services.values()), unit="MB"),
        Row(name="rss-platform", value=on_files.everything, unit="MB"),
    ]


class _Rest:
    def __init__(self, family: list[psutil.Process]) -> None:
        self.services = {
            name: process.memory_info().rss / MEGA
            for process in family
            if (name := _service(process)) is not None
        }
        # A page that several processes share is counted once: each has its part of it.
        self.everything = sum(process.memory_full_info().pss for process in family) / MEGA


async def _at_rest(run: Run, more: Mapping[str, str]) -> _Rest:
    async with _busbar_up(run, more) as up:
        await SystemClock().sleep(run.size(int(REST_SECONDS), quick=1))
        return _Rest([up, *up.children(recursive=True)])


def _service(process: psutil.Process) -> str | None:
    command = process.cmdline()
    return command[-1] if command[-2:-1] == ["run"] else None


@asynccontextmanager
async def _busbar_up(run: Run, more: Mapping[str, str]) -> AsyncIterator[psutil.Process]:
    run.say("  starting busbar up")
    with servers.folder("up") as folder:
        said = folder / "said"
        command = [sys.executable, "-m", "busbar", "--home", str(folder / "home"), "up"]
        with said.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *tied_to_parent(command),
                "--gateway-port",
                "0",
                cwd=folder,
                stdout=output,
                stderr=output,
                env={**os.environ, **more},  # noqa: TID251 - handed on, not read
            )
        try:
            await eventually(lambda: _is_up(said, process), within=START_SECONDS, what="busbar up")
            yield psutil.Process(process.pid)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def _is_up(said: Path, process: asyncio.subprocess.Process) -> bool:
    text = said.read_text(encoding="utf-8")
    assert process.returncode is None, text
    return "busbar is up" in text


async def measure_replay(run: Run) -> list[Row]:
    """Two replays of one table, by a new process each: of few events, and of many."""
    many = run.size(1_000_000, quick=50_000)
    async with servers.postgres(run, store_append.SERVICE) as cluster:
        await _fill(cluster, FEW_EVENTS)
        few = await _peak(cluster, FEW_EVENTS)
        run.say(f"  replaying {FEW_EVENTS:,} events takes {few:.0f} MB at most")
        await _fill(cluster, many)
        peak = await _peak(cluster, many)
        run.say(f"  replaying {many:,} events takes {peak:.0f} MB at most")
    return [Row(name="replay-1m-memory", value=peak - few, unit="MB")]


async def _fill(cluster: StoreCluster, count: int) -> None:
    """Have ``count`` events: the first transaction's, over and over under other names."""
    async with cluster.session() as session:
        have = await session.fetchval("SELECT count(*) FROM events")
        if not have:
            await store_append.fill_postgres(cluster, 1)
            have = rows.PER_TRANSACTION
        done, wanted = have // rows.PER_TRANSACTION, count // rows.PER_TRANSACTION
        for first in range(done, wanted, _CHUNK):
            await session.execute(_MULTIPLY, first, min(first + _CHUNK, wanted) - 1)
    async with cluster.session(cluster.server.url("busbar")) as admin:
        await admin.execute("VACUUM ANALYZE events")


async def _peak(cluster: StoreCluster, count: int) -> float:
    """The most memory in MB that a process takes that replays the table of ``count`` events."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.replaying", cluster.url, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, "the replay failed"
    replayed, peak = said.split()
    assert int(replayed) == count, "the replay is not complete"
    return float(peak)
