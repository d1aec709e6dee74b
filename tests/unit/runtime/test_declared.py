"""A service publishes what it declares, and nothing else."""

import pytest

from busbar.messages.delivery import DeadLettered, HeadPublished
from busbar.messages.notification import Subscribed, Unsubscribed
from busbar.runtime.consume.service import Service
from busbar.runtime.store import Store, Transaction
from support.runtime import CAUSE, fact


async def _append(store: Store) -> None:
    async def body(tx: Transaction) -> None:
        tx.caused_by(CAUSE)
        await tx.append("a", [fact(1)], key="a")

    await store.transact(body)


async def test_a_message_that_is_not_declared_is_not_appended(store: Store) -> None:
    store.publish_only([Subscribed.TYPE])
    with pytest.raises(RuntimeError, match=r"policy does not declare that it emits .*emits=…"):
        await _append(store)
    assert await store.events() == []


async def test_a_declared_message_is_appended(store: Store) -> None:
    store.publish_only([Unsubscribed.TYPE])
    await _append(store)
    assert len(await store.events()) == 1


async def test_an_event_that_is_not_published_needs_no_declaration(store: Store) -> None:
    store.publish_only([])

    async def body(tx: Transaction) -> None:
        tx.caused_by(CAUSE)
        await tx.append_raw("a", id_="1", type_="a copy", data="{}", metadata={})

    await store.transact(body)
    assert len(await store.events()) == 1


def test_every_service_publishes_heads_and_dead_letters() -> None:
    service = Service("policy", emits=[Subscribed])
    assert service.emits == {Subscribed}
    assert {Subscribed, HeadPublished, DeadLettered} <= service.publishes
