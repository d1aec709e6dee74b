"""``python -m bench growth``: how the cost of an intent grows with instances, resources and teams.

Everything runs on PostgreSQL. Rates say how fast it went, beside the raw loop at the same time; the
processor's time for an intent says what it cost, polling while it waits included.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from bench import multiply, servers, work
from bench.end_to_end import Bursts, bursting
from bench.raw_loop import raw_loop
from bench.run import Run
from bench.stage import Stage, platform, stage
from bench.svg import Panel, plot
from support.postgres_store import StoreCluster

INSTANCES = (1, 2, 4)
TEAMS = (10, 100, 1000)
WARM = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The result with a given number ``of`` instances, resources or teams."""

    of: str
    amount: int
    rate: float
    raw: float
    services_ms: float
    database_ms: float

    @property
    def cost(self) -> float:
        """Return the CPU time of an intent, in milliseconds."""
        return self.services_ms + self.database_ms


async def measure(run: Run) -> list[Point]:
    """Every point."""
    points = []
    for instances in INSTANCES:
        run.say(f"{instances} instances")
        async with stage(run, "postgres", instances=instances) as found, _bursts(found) as bursts:
            points.append(await _point(run, found, bursts, of="instances", amount=instances))
    points += [point async for point in _resources(run)]
    async with stage(run, "postgres") as found:
        for teams in TEAMS:
            run.say(f"{teams} teams")
            async with _bursts(found, teams=teams) as bursts:
                points.append(await _point(run, found, bursts, of="teams", amount=teams))
    return points


async def _resources(run: Run) -> AsyncIterator[Point]:
    """The smallest amount is made by the services, the others are that many times over."""
    seed = run.size(1_000, quick=100)
    times = (1, 10, 100, 1_000) if not run.quick else (1, 10)
    with servers.folder("home") as home:
        async with servers.postgres(run) as cluster, servers.kafka(run) as bootstrap:
            async with platform(run, home, bootstrap, cluster) as found, _bursts(found) as bursts:
                await bursts.turn(seed - WARM)
            seeds = await multiply.marks(cluster)
            have = 1
            for wanted in times:
                run.say(f"{seed * wanted:,} resources")
                await multiply.up_to(cluster, seeds, have, wanted)
                have = wanted
                async with (
                    platform(run, home, bootstrap, cluster) as found,
                    _bursts(found) as bursts,
                ):
                    yield await _point(run, found, bursts, of="resources", amount=seed * wanted)


@asynccontextmanager
async def _bursts(found: Stage, *, teams: int = work.TEAMS) -> AsyncIterator[Bursts]:
    async with bursting(found.bootstrap, found.audit_copy(), teams=teams) as bursts:
        await bursts.turn(WARM)
        yield bursts


async def _point(run: Run, found: Stage, bursts: Bursts, *, of: str, amount: int) -> Point:
    count = run.size(2_000, quick=100)
    rates, raw, services, database = [], [], [], []
    async with raw_loop(run, found.bootstrap) as limit:
        for _ in range(run.rounds):
            raw.append(await limit.turn())
            before = _services(found), _database(found.cluster)
            rates.append(await bursts.turn(count))
            services.append((_services(found) - before[0]) * 1000 / count)
            database.append((_database(found.cluster) - before[1]) * 1000 / count)
    point = Point(
        of=of,
        amount=amount,
        rate=median(rates),
        raw=median(raw),
        services_ms=median(services),
        database_ms=median(database),
    )
    run.say(f"  {point.rate:,.0f} intents/s, {point.cost:.2f} ms of the processor each")
    return point


def _services(found: Stage) -> float:
    """Seconds of the processor that the services have taken."""
    times = [psutil.Process(pid).cpu_times() for pid in found.platform.pids.values() if pid]
    return sum(time.user + time.system for time in times)


def _database(cluster: StoreCluster | None) -> float:
    """The same of the database, its processes that have ended included."""
    if cluster is None:
        return 0.0
    server = psutil.Process(cluster.server.pid)
    own = server.cpu_times()
    ended = own.children_user + own.children_system
    alive = [one.cpu_times() for one in server.children(recursive=True)]
    return float(own.user + own.system + ended + sum(time.user + time.system for time in alive))


def write(points: Sequence[Point], page: Path) -> None:
    """Write the table to ``page``, and the plot beside it."""
    picture = page.with_suffix(".svg")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(_page(points, picture.name), encoding="utf-8")
    kinds = list(dict.fromkeys(point.of for point in points))
    panels = [
        Panel(
            kind,
            [f"{point.amount:,}" for point in points if point.of == kind],
            [point.cost for point in points if point.of == kind],
        )
        for kind in kinds
    ]
    what = "milliseconds of CPU time per intent"
    picture.write_text(plot(panels, what=what), encoding="utf-8")


def _page(points: Sequence[Point], picture: str) -> str:
    lines = [
        "# How cost grows",
        "",
        "Written by `python -m bench growth` ([how to measure it](how-to/measure-it.md)): intents",
        "end to end on PostgreSQL, all processes on one machine. Cost is the CPU time per intent",
        "in services and database, including the time they spend on polling. What is linear and",
        "what is not: [Performance](performance.md#how-it-grows).",
        "",
        f"![Cost by instances, resources and teams]({picture})",
        "",
        "| with | intents/s | raw loop/s | ratio | services, ms | database, ms | total, ms |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {point.amount:,} {point.of} | {point.rate:,.0f} | {point.raw:,.0f}"
        f" | {point.rate / point.raw:.3f} | {point.services_ms:.2f}"
        f" | {point.database_ms:.2f} | {point.cost:.2f} |"
        for point in points
    ]
    return "\n".join(lines) + "\n"
