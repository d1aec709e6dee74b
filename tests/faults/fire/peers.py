"""Database and broker become unreachable for one service at a time, at seeded points.

Each service has links of its own. At a seeded number of messages on one of them something happens
to it; the service has to be ready soon after the peer is back, by the same process.
"""

import asyncio
import random
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from time import monotonic

from busbar.messages import topics
from faults.fire.kills import ENDLESS
from faults.fire.proxy import Proxy
from faults.fire.run import Fault, Scene
from faults.fire.stage import Stage
from support import eventually
from support.lasting import last

READY_SECONDS = 5.0
"""A service has to be ready at most this long after its peer is back."""

_TRACEBACK = re.compile(r"Traceback \(most recent call last\)|\"exception\":")

Trouble = Callable[[Proxy, random.Random], Awaitable[None]]


async def _hang(link: Proxy, rng: random.Random) -> None:
    link.hold()
    await last(rng.uniform(0.5, 6.0))
    link.let_go()


async def _refuse(link: Proxy, rng: random.Random) -> None:
    link.cut(silently=False)
    await last(rng.uniform(0.0, 3.0))
    link.restore()


async def _cut(link: Proxy, rng: random.Random) -> None:
    link.cut(silently=True)
    await last(rng.uniform(0.5, 6.0))
    link.restore()


async def _half_open(link: Proxy, _rng: random.Random) -> None:
    link.lose()


async def _reset(link: Proxy, _rng: random.Random) -> None:
    link.reset()


async def _slow(link: Proxy, rng: random.Random) -> None:
    link.delay = rng.uniform(0.01, 0.3)
    await last(rng.uniform(0.5, 3.0))
    link.delay = 0.0


TROUBLES: Mapping[str, Trouble] = {
    "hang": _hang,
    "refuse": _refuse,
    "cut": _cut,
    "half-open": _half_open,
    "reset": _reset,
    "slow": _slow,
}


def unreachable_peers(points: int) -> Fault:
    """``points`` times per service, one of its links is in trouble; all services concurrently."""

    async def fault(here: Scene) -> None:
        before = here.stage.alive()
        async with here.load.running(longest=ENDLESS):
            await asyncio.gather(*(_plague(here, service, points) for service in topics.SERVICES))
            await here.watcher.more(10)
        here.findings.lost += replaced(before, here.stage.alive()) + tracebacks(here.stage)

    return fault


async def _plague(here: Scene, service: str, points: int) -> None:
    """Make trouble for ``service`` ``points`` times, each when it is ready again."""
    rng = random.Random(f"{here.stage.seed}/{service}")
    slowest, about = 0.0, ""
    for number in range(points):
        kind, peer = rng.choice(sorted(TROUBLES)), rng.choice(("store", "broker"))
        link = here.stage.links[f"{service}:{peer}"]
        point = rng.randint(1, 60)
        try:
            async with asyncio.timeout(30):
                await link.more(point)
        except TimeoutError:
            here.findings.stuck.append(f"{service} sends nothing to its {peer} before {number}")
        await TROUBLES[kind](link, rng)
        seconds = await _until_ready(here, service)
        if seconds > READY_SECONDS:
            problem = (await here.stage.unready()).get(service, "")
            here.findings.stuck.append(
                f"point {number}: {service} was ready {seconds:.1f} s after its {peer} was back"
                f" ({kind}) {problem}"
            )
        if seconds > slowest:
            slowest, about = seconds, f"{kind} of the {peer}"
    sys.stderr.write(f"{service}: {points} points, ready after {slowest:.1f} s ({about})\n")


async def _until_ready(here: Scene, service: str) -> float:
    """Return the seconds until ``service`` is ready; at most 60."""

    async def ready() -> bool:
        states = await asyncio.to_thread(here.stage.platform.readiness)
        return states[service].ready

    began = monotonic()
    with suppress(AssertionError):
        await eventually(ready, within=60, every=0.1)
    return monotonic() - began


def replaced(before: Mapping[str, int], after: Mapping[str, int]) -> list[str]:
    """Return which processes are not those that they were."""
    return [
        f"{name} is process {after.get(name)}, it was {pid}"
        for name, pid in before.items()
        if after.get(name) != pid
    ]


def tracebacks(stage: Stage) -> list[str]:
    """Return where a process has logged a traceback."""
    found = []
    for path in sorted((stage.home / "logs").glob("*.log")):
        count = len(_TRACEBACK.findall(path.read_text(encoding="utf-8", errors="replace")))
        if count:
            found.append(f"{path.name} has {count} tracebacks")
    return found
