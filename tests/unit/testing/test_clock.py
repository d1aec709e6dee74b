"""The clock moves only when a test wants it to."""

import asyncio
from datetime import timedelta

from busbar.testing import ManualClock
from busbar.testing.clock import START


async def test_sleeping_takes_no_time_and_moves_the_clock() -> None:
    clock = ManualClock()
    await clock.sleep(3600)
    assert clock.now() == START + timedelta(hours=1)
    assert clock.slept == [3600]


async def test_without_auto_advance_sleepers_wake_in_the_order_of_their_times() -> None:
    clock, woken = ManualClock(auto_advance=False), list[int]()

    async def sleeper(seconds: int) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    tasks = [asyncio.create_task(sleeper(seconds)) for seconds in (30, 10, 20)]
    await asyncio.sleep(0)
    clock.advance(9)
    await asyncio.sleep(0)
    assert woken == []
    clock.advance(11)
    await asyncio.sleep(0)
    assert woken == [10, 20]
    clock.advance(10)
    await asyncio.gather(*tasks)
    assert woken == [10, 20, 30]


async def test_a_cancelled_sleeper_is_passed_over() -> None:
    clock = ManualClock(auto_advance=False)
    task = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    clock.advance(2)
    assert clock.now() == START + timedelta(seconds=2)
