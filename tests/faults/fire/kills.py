"""Processes that end without a word: services, the broker, the store's database."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

from faults.fire.run import Fault, Scene
from faults.fire.stage import Stage
from support import eventually

ENDLESS = 100_000
"""Asks of one resource while a fault goes on: more than any fault takes."""


def kill_nine(count: int) -> Fault:
    """``count`` times, a random process of a service is killed under load."""

    async def fault(here: Scene) -> None:
        stage = here.stage
        async with here.load.running(longest=ENDLESS):
            while stage.kills < count:
                await here.watcher.more(stage.rng.randint(1, 12))
                alive = stage.alive()
                victim = stage.rng.choice(sorted(stage.platform.pids))
                if victim in alive:
                    os.kill(alive[victim], signal.SIGKILL)
                    stage.kills += 1

    return fault


def _crashes(count: int, crash: Callable[[Stage], Awaitable[None]]) -> Fault:
    """``count`` times, what everybody needs is made to ``crash`` under load, and comes back."""

    async def fault(here: Scene) -> None:
        async with here.load.running(longest=ENDLESS):
            for _ in range(count):
                await here.watcher.more(here.stage.rng.randint(20, 120))
                await crash(here.stage)
            await here.watcher.more(20)

    return fault


def broker_restart(count: int) -> Fault:
    """``count`` times, the broker is killed under load, and started again."""

    async def crash(stage: Stage) -> None:
        pid = stage.kafka.pid
        if pid is None:
            raise RuntimeError("the broker ended by itself")
        os.kill(pid, signal.SIGKILL)
        stage.kills += 1
        await eventually(lambda: stage.kafka.pid is None, what="the broker's end")
        await asyncio.to_thread(stage.kafka.start)

    return _crashes(count, crash)


def database_crash(count: int) -> Fault:
    """``count`` times, the store's server crashes under load, and recovers."""

    async def crash(stage: Stage) -> None:
        server = stage.store.server
        if stage.rng.random() < 0.5:
            server.kill()
        else:
            server.stop(immediate=True)
        stage.kills += 1
        server.start()

    return _crashes(count, crash)
