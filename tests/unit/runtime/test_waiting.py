"""Waiting for an event ends when it is set, when the time is over, or by cancellation."""

import asyncio

import pytest

from busbar.runtime.core.waiting import wait_for_event


async def test_waiting_ends_as_soon_as_the_event_is_set() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)
    assert await wait_for_event(event, seconds=30)


async def test_waiting_ends_when_the_time_is_over() -> None:
    assert not await wait_for_event(asyncio.Event(), seconds=0.001)


async def test_a_cancellation_is_not_swallowed_even_if_the_event_is_set_meanwhile() -> None:
    event = asyncio.Event()
    waiting = asyncio.create_task(wait_for_event(event, seconds=30))
    await asyncio.sleep(0)
    event.set()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
