"""Group commit: concurrent parts share a transaction, and each behaves as if alone."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from busbar.kernel.errors import Fenced
from busbar.runtime.store import Cause, Claim, Store, StoreUnavailable, Transaction
from busbar.runtime.store.schema import tables
from busbar.runtime.tasks.group_commit import MAX_GROUP, GroupCommit
from support.runtime import (
    NOTHING,
    SOURCE,
    collect,
    fact,
    facts_of,
    numbers,
)
from support.sql import own, run_sql

Body = Callable[[Transaction], Awaitable[Any]]


class Group:
    """A group commit with claims, and a count of the store's transactions."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = store
        self.together = GroupCommit(store)
        self.transactions = 0
        transact = store.transact

        async def counted(*args: Any, **more: Any) -> Any:
            self.transactions += 1
            return await transact(*args, **more)

        monkeypatch.setattr(store, "transact", counted)

    async def claims(self, count: int) -> list[Claim]:
        async def take(tx: Transaction) -> list[Claim]:
            for number in range(count):
                await tx.tasks.schedule("k", f"t{number:03}")
            lease = timedelta(seconds=5)
            return list(await own(tx).tasks.claim("k", holder="me", lease=lease, limit=count))

        claimed = await self.store.transact(take)
        self.transactions = 0
        return claimed

    def record(self, claim: Claim, body: Body | None = None) -> asyncio.Task[Any]:
        async def append(tx: Transaction) -> str:
            tx.caused_by(Cause(SOURCE, claim.name, "c"))
            await tx.append(claim.name, [fact(1)])
            await tx.tasks.finish(claim)
            return claim.name

        return asyncio.create_task(
            self.together.transact(body or append, fence=claim, reads=[claim.name])
        )


@pytest.fixture
def group(store: Store, monkeypatch: pytest.MonkeyPatch) -> Group:
    return Group(store, monkeypatch)


async def fail(_tx: Transaction) -> None:
    raise ArithmeticError("no")


async def test_what_comes_at_the_same_time_is_one_transaction(group: Group) -> None:
    claims = await group.claims(20)
    outcomes = await asyncio.gather(*(group.record(claim) for claim in claims))
    assert outcomes == [claim.name for claim in claims]
    assert group.transactions == 1
    for claim in claims:
        assert await facts_of(group.store, claim.name) == [1]
    async with group.store.reading() as tx:
        assert await tx.tasks.next_due("k") is None


async def test_what_comes_while_another_is_recorded_is_the_next_one(group: Group) -> None:
    first, second, third = await group.claims(3)
    meanwhile: list[asyncio.Task[Any]] = []

    async def slow(tx: Transaction) -> None:
        meanwhile.extend((group.record(second), group.record(third)))
        tx.caused_by(Cause(SOURCE, "slow", "c"))
        await tx.append("slow", [fact(1)])

    await group.record(first, slow)
    await asyncio.gather(*meanwhile)
    assert group.transactions == 2


async def test_a_group_is_not_larger_than_others_can_wait_for(group: Group) -> None:
    claims = await group.claims(MAX_GROUP + 1)
    await asyncio.gather(*(group.record(claim) for claim in claims))
    assert group.transactions == 2


async def test_a_part_that_fails_does_not_fail_the_others(group: Group) -> None:
    claims = await group.claims(5)
    outcomes = await asyncio.gather(
        *(group.record(claim, fail if claim.name == "t002" else None) for claim in claims),
        return_exceptions=True,
    )
    assert isinstance(outcomes.pop(2), ArithmeticError)
    assert outcomes == ["t000", "t001", "t003", "t004"]
    assert [await facts_of(group.store, claim.name) for claim in claims] == [[1], [1], [], [1], [1]]


async def test_only_the_part_that_lost_its_lease_is_fenced(group: Group) -> None:
    claims = await group.claims(3)

    async def steal(tx: Transaction) -> None:
        epoch = {"epoch": tables.tasks.c.epoch + 1}
        await run_sql(tx, update(tables.tasks).where(tables.tasks.c.name == "t001").values(**epoch))

    await group.store.transact(steal)

    async def go_on(tx: Transaction) -> None:
        tx.caused_by(Cause(SOURCE, "t001", "c"))
        await tx.append("t001", [fact(1)])

    outcomes = await asyncio.gather(
        *(group.record(claim, go_on if claim.name == "t001" else None) for claim in claims),
        return_exceptions=True,
    )
    assert isinstance(outcomes.pop(1), Fenced)
    assert outcomes == ["t000", "t002"]
    assert await facts_of(group.store, "t001") == []


async def test_a_paused_worker_is_fenced_in_a_group_with_its_successor(group: Group) -> None:
    """The same process claimed the task again, and both workers record concurrently."""
    (old,) = await group.claims(1)
    new = old._replace(epoch=old.epoch + 1)

    async def claim_again(tx: Transaction) -> None:
        await run_sql(tx, update(tables.tasks).values(epoch=new.epoch))

    await group.store.transact(claim_again)

    async def go_on(tx: Transaction) -> None:
        tx.caused_by(Cause(SOURCE, "old", "c"))
        await tx.append("old", [fact(1)])

    outcomes = await asyncio.gather(
        group.record(old, go_on), group.record(new), return_exceptions=True
    )
    assert isinstance(outcomes[0], Fenced)
    assert outcomes[1] == new.name
    assert await facts_of(group.store, "old") == []


async def test_when_the_store_is_unreachable_all_parts_fail(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have committed: no body may run again before its worker has read the state."""
    claims = await group.claims(3)
    ran: list[str] = []
    transact = group.store.transact

    async def lost(body: Body, **more: Any) -> Any:
        await transact(body, **more)
        raise StoreUnavailable("connection lost")

    monkeypatch.setattr(group.store, "transact", lost)

    def noting(claim: Claim) -> Body:
        async def note(_tx: Transaction) -> None:
            ran.append(claim.name)

        return note

    outcomes = await asyncio.gather(
        *(group.record(claim, noting(claim)) for claim in claims), return_exceptions=True
    )
    assert all(isinstance(one, StoreUnavailable) for one in outcomes)
    assert ran == [claim.name for claim in claims]


async def test_a_part_that_is_cancelled_before_its_turn_records_nothing(group: Group) -> None:
    first, second = await group.claims(2)
    gone: list[asyncio.Task[Any]] = []

    async def slow(_tx: Transaction) -> None:
        gone.append(group.record(second))
        await asyncio.sleep(0)  # it waits now
        gone[0].cancel()
        await asyncio.sleep(0)

    await group.record(first, slow)
    await asyncio.gather(*gone, return_exceptions=True)
    await group.together.idle()
    assert gone[0].cancelled()
    assert await facts_of(group.store, second.name) == []


async def test_the_cause_of_one_part_does_not_leak_into_the_next(group: Group) -> None:
    first, second = await group.claims(2)

    async def nameless(tx: Transaction) -> None:
        await tx.append("nameless", [fact(1)])

    outcomes = await asyncio.gather(
        group.record(first), group.record(second, nameless), return_exceptions=True
    )
    assert isinstance(outcomes[1], RuntimeError)
    assert await facts_of(group.store, "nameless") == []


async def test_the_streams_of_all_parts_are_fetched_in_one_batch(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = await group.claims(4)
    await asyncio.gather(*(group.record(claim) for claim in claims))
    asked: list[set[str]] = []
    bulk = group.store._dialect.statements
    read_streams = bulk.read_streams

    async def watched(connection: Any, since: Any) -> Any:
        asked.append(set(since))
        return await read_streams(connection, since)

    monkeypatch.setattr(bulk, "read_streams", watched)

    def loading(claim: Claim) -> Body:
        async def load(tx: Transaction) -> list[int]:
            return numbers(await tx.load(claim.name, NOTHING, collect))

        return load

    again = await group.claims(4)
    outcomes = await asyncio.gather(*(group.record(claim, loading(claim)) for claim in again))
    assert outcomes == [[1]] * 4
    assert asked == [{claim.name for claim in claims}]
