"""Any producer may write to the topics of intents, but cannot impersonate a service there."""

import pytest

from busbar.kernel.errors import Reject
from busbar.messages import topics
from busbar.messages.catalogue import MESSAGES, belongs
from busbar.messages.codec import kafka as codec
from busbar.messages.delivery import DeadLettered
from busbar.messages.notification import DeleteSubscription
from busbar.runtime.store import Cause, Store, StoreTransaction
from support.runtime import (
    Toy,
    intent,
    record,
)


async def test_an_event_counts_only_on_the_topic_of_its_type(toy: Toy) -> None:
    elsewhere = [topic for topic in topics.ALL if topic != DeleteSubscription.TOPIC]
    await toy.engine.handle_batch(
        [record(0, topic=topic, id_=f"forged-{topic}") for topic in elsewhere]
    )
    assert toy.handled == []
    await toy.engine.handle_batch([record(0)])
    assert toy.handled == ["s0"]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: str(message.TYPE))
def test_every_message_belongs_where_it_is_published(message: type) -> None:
    where = {topic for topic in topics.ALL if belongs(message, topic)}
    expected = set(topics.DEAD_LETTERS) if "{" in message.TOPIC else {message.TOPIC}  # type: ignore[attr-defined]  # every message has one
    assert where == expected


async def test_an_intent_that_is_given_up_names_the_operation_that_stops(toy: Toy) -> None:
    toy.broken["s0"] = Reject("no_use", "it never will be")
    await toy.engine.handle_batch([record(0, intent(0))])
    (dead_letter,) = await toy.dead()
    assert dead_letter.operation is not None
    assert DeadLettered.model_validate(dead_letter.model_dump()).operation == dead_letter.operation


async def test_an_event_that_its_topic_cannot_take_is_never_stored(store: Store) -> None:
    async def write(tx: StoreTransaction, size: int, topic: str | None) -> None:
        tx.caused_by(Cause("urn:test", f"{size}-{topic}", "c"))
        data = '"' + "x" * size + '"'
        await tx.append_raw(
            "s", id_=f"{size}-{topic}", type_="t", data=data, metadata={}, topic=topic
        )

    with pytest.raises(Reject, match="event_too_large"):
        await store.transact(lambda tx: write(tx, codec.MAX_BYTES, topics.FACTS_POLICY))
    await store.transact(lambda tx: write(tx, codec.MAX_BYTES - 2, topics.FACTS_POLICY))
    await store.transact(lambda tx: write(tx, codec.MAX_BYTES, None))
    assert len(await store.events()) == 2
