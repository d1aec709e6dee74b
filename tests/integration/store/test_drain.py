"""Revoked partitions are drained, then fenced; stopping does the same for all partitions."""

import asyncio
from typing import Any

from busbar.kernel.errors import Retry
from busbar.messages.notification import DeleteSubscription
from busbar.runtime.consume.service import Received
from busbar.runtime.store import Store, Transaction
from busbar.testing import ManualClock
from support import eventually
from support.runtime import (
    Toy,
    record,
)

MINE = (DeleteSubscription.TOPIC, 0)
OTHER = (DeleteSubscription.TOPIC, 1)


class Held:
    """A handler that blocks until it is released."""

    def __init__(self, toy: Toy, name: str) -> None:
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()
        handle = toy.handle

        async def held(received: Received[Any], tx: Transaction) -> None:
            await handle(received, tx)
            if received.message.name == name:
                self.reached.set()
                await self.go_on.wait()

        kind = toy.service.handlers[DeleteSubscription.TYPE][0]
        toy.service.handlers[DeleteSubscription.TYPE] = (kind, held)
        toy.restarted()


async def test_a_partition_is_given_up_when_the_transaction_in_hand_is_done(toy: Toy) -> None:
    held = Held(toy, "s1")
    working = asyncio.create_task(toy.engine.handle_batch([record(0), record(1), record(2)]))
    await held.reached.wait()
    giving_up = asyncio.create_task(toy.engine.revoke([MINE]))
    await asyncio.sleep(0)
    assert not giving_up.done()
    held.go_on.set()
    await giving_up
    assert await toy.done() == [0, 1, 2]
    assert await working == {MINE: 3}


async def test_nothing_of_a_revoked_partition_is_handled(toy: Toy) -> None:
    await toy.engine.handle_batch([record(0)])
    await toy.engine.revoke([MINE])
    reached = await toy.engine.handle_batch([record(1), record(8, partition=1)])
    assert await toy.done() == [0, 8]
    assert reached == {MINE: 1, OTHER: 9}
    assert await toy.engine.positions([MINE]) == {MINE: 1}
    await toy.engine.handle_batch([record(1)])
    assert await toy.done() == [0, 8, 1]


async def test_a_message_that_is_being_tried_again_is_left_to_the_next_owner(
    store: Store,
) -> None:
    clock = ManualClock(auto_advance=False)
    toy = Toy(store, clock)
    toy.failing["s0"] = [Retry("later", after=3600)]
    working = asyncio.create_task(toy.engine.handle_batch([record(0)]))
    await eventually(lambda: clock.slept, what="the wait for the next try")
    await toy.engine.revoke([MINE])
    assert await working == {}
    assert await toy.done() == []
    assert await toy.dead() == []
    await toy.restarted().handle_batch([record(0)])
    assert await toy.done() == [0]


async def test_what_is_left_of_a_failing_batch_goes_on_for_partitions_that_stay(
    store: Store,
) -> None:
    clock = ManualClock(auto_advance=False)
    toy = Toy(store, clock)
    toy.failing["s0"] = [Retry("later", after=3600)] * 2
    batch = [record(0), record(7, partition=1)]
    working = asyncio.create_task(toy.engine.handle_batch(batch))
    await eventually(lambda: clock.slept, what="the wait for the next try")
    await toy.engine.revoke([MINE])
    await working
    assert await toy.done() == [7]


async def test_stopping_ends_every_wait(store: Store, clock: ManualClock) -> None:
    stepped = ManualClock(clock.now(), auto_advance=False)
    toy = Toy(store, stepped)
    toy.failing["s0"] = [Retry("later", after=3600)] * 2
    working = asyncio.create_task(toy.engine.handle_batch([record(0), record(1)]))
    await eventually(lambda: stepped.slept, what="the wait for the next try")
    await toy.engine.stop()
    await working
    assert await toy.done() == []
