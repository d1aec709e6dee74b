"""Discarding a dead letter ends the operation that waits for it, once."""

from datetime import timedelta

import pytest

from busbar.kernel.errors import Reject
from busbar.kernel.ids import operation_id
from busbar.messages.base import IntentRef
from busbar.messages.delivery import (
    DeadLetterDiscarded,
    DeadLetterRecovered,
    DeadLetterRedriven,
    DiscardDeadLetter,
    RedriveDeadLetter,
)
from busbar.messages.notification import DeleteSubscription, Unsubscribed
from busbar.messages.request import RequestAllowed
from busbar.runtime.consume.dead_letters import DeadLetters
from busbar.runtime.consume.parking import PARKED
from busbar.runtime.consume.service import Discarded, Received
from busbar.runtime.core.bus import Record
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.store import Claim, Transaction
from busbar.runtime.tasks.runner import Work
from support.redrive import discard, outcomes, redrive
from support.requests import allowed
from support.runtime import SOURCE, Toy, intent, record
from support.sql import own

OWN = "payments/dev/stream/own"


class Ends:
    """Ends operations by a fact, and fails where the test asks for it."""

    def __init__(self, toy: Toy) -> None:
        self.toy = toy
        self.ended: list[Discarded] = []
        self.failing = False
        toy.service.on_discard(self.end)

    async def end(self, discarded: Discarded, tx: Transaction) -> bool:
        self.ended.append(discarded)
        fact = Unsubscribed(
            operation=discarded.operation,
            intent=IntentRef.of(discarded.envelope),
            subscription="payments/discarded",
        )
        await tx.append(f"operation/{discarded.operation}", [fact], key="payments")
        if self.failing:
            raise ArithmeticError("a bug")
        return True

    @property
    def operations(self) -> list[str]:
        return [str(one.operation) for one in self.ended]

    async def recorded(self) -> list[str]:
        """The operations that ended, as the store has them."""
        found = [
            Unsubscribed.model_validate_json(event.data)
            for event in await self.toy.store.events(limit=10_000)
            if event.type == Unsubscribed.TYPE
        ]
        return [str(one.operation) for one in found if one.subscription == "payments/discarded"]


@pytest.fixture
def ends(toy: Toy) -> Ends:
    return Ends(toy)


def of(number: int) -> str:
    """The operation of record ``number``."""
    return str(operation_id(SOURCE, f"intent-{number}"))


async def given_up(toy: Toy, *numbers: int, error: BaseException | None = None) -> list[str]:
    """Dead-letter ``numbers`` of one key, of which the first fails; return the dead letters."""
    toy.broken[f"s{numbers[0]}"] = error or ArithmeticError("no")
    await toy.engine.handle_batch([record(number, key=OWN) for number in numbers])
    toy.broken.clear()
    return [dead_letter.dead_letter for dead_letter in await toy.dead()]


async def discarded(toy: Toy) -> list[DeadLetterDiscarded]:
    return [
        DeadLetterDiscarded.model_validate_json(event.data)
        for event in await toy.store.events(limit=10_000)
        if event.type == DeadLetterDiscarded.TYPE
    ]


async def resume(toy: Toy) -> None:
    """Retry the parked keys that are due."""

    async def take(tx: Transaction) -> list[Claim]:
        lease = timedelta(seconds=5)
        return list(await own(tx).tasks.claim(PARKED, holder="a", lease=lease, limit=10))

    for claim in await toy.store.transact(take):
        await toy.engine.parking.resume(Work(claim, toy.store))


@pytest.mark.parametrize("error", [ArithmeticError("no"), Reject("no_use", "it is of no use")])
async def test_the_operation_of_a_discarded_intent_ends_and_the_outcome_names_it(
    toy: Toy, ends: Ends, error: BaseException
) -> None:
    (dead_letter,) = await given_up(toy, 0, error=error)
    await toy.engine.handle_batch([discard(0, dead_letter)])
    assert await ends.recorded() == [of(0)]
    (one,) = ends.ended
    assert one.by == operation_id(SOURCE, "discard-0")
    assert (one.envelope.id, one.record.offset) == ("intent-0", 0)
    (outcome,) = await discarded(toy)
    assert (outcome.outcome, str(outcome.ended)) == ("discarded", of(0))
    assert of(0) in outcome.detail


async def test_the_end_belongs_to_the_history_of_the_operation_and_the_outcome_to_the_requests(
    toy: Toy, ends: Ends
) -> None:
    (dead_letter,) = await given_up(toy, 0)
    await toy.engine.handle_batch([discard(0, dead_letter)])
    (end,) = [one for one in await toy.store.events() if one.type == Unsubscribed.TYPE]
    assert end.correlation == of(0)
    outcome = (await toy.store.events(key=dead_letter))[-1]
    assert outcome.causation == "allowed-0"
    assert await ends.recorded() == [of(0)]


async def test_what_is_discarded_twice_ends_once(toy: Toy, ends: Ends) -> None:
    (dead_letter,) = await given_up(toy, 0)
    await toy.engine.handle_batch([discard(0, dead_letter), discard(1, dead_letter)])
    await toy.engine.handle_batch([discard(0, dead_letter), discard(2, dead_letter)])
    assert await ends.recorded() == [of(0)]
    assert [one.outcome for one in await discarded(toy)] == ["discarded", *["not_waiting"] * 2]


async def test_what_was_discarded_is_not_redriven(toy: Toy, ends: Ends) -> None:
    (dead_letter,) = await given_up(toy, 0)
    await toy.engine.handle_batch([discard(0, dead_letter), redrive(1, dead_letter)])
    await resume(toy)
    assert await toy.done() == []
    (outcome,) = await outcomes(toy)
    assert (outcome.outcome, outcome.detail) == ("failed", "it was discarded")
    assert await ends.recorded() == [of(0)]


async def test_a_redrive_that_waits_for_its_turn_is_answered_when_its_dead_letter_is_discarded(
    toy: Toy, ends: Ends
) -> None:
    dead_letter, other = await given_up(toy, 0, 1)
    await toy.engine.handle_batch(
        [redrive(0, dead_letter), redrive(1, other), discard(2, dead_letter)]
    )
    (outcome,) = await outcomes(toy)
    assert (outcome.dead_letter, outcome.outcome) == (dead_letter, "failed")
    await resume(toy)
    assert await toy.done() == [1]
    assert [one.outcome for one in await outcomes(toy)] == ["failed", "handled"]
    assert await ends.recorded() == [of(0)]


async def test_what_was_handled_in_a_retry_is_not_ended_by_a_discard(toy: Toy, ends: Ends) -> None:
    (dead_letter,) = await given_up(toy, 0)
    await toy.engine.handle_batch([redrive(0, dead_letter)])
    await resume(toy)
    await toy.engine.handle_batch([discard(1, dead_letter)])
    assert await toy.done() == [0]
    assert await ends.recorded() == []
    assert [one.outcome for one in await discarded(toy)] == ["not_waiting"]


async def test_an_intent_that_was_handled_under_another_record_is_not_ended(
    toy: Toy, ends: Ends
) -> None:
    (dead_letter,) = await given_up(toy, 0, error=Reject("no_use", "not yet"))
    await toy.engine.handle_batch([record(1, intent(0), id_="intent-0")])
    await toy.engine.handle_batch([discard(0, dead_letter)])
    assert await ends.recorded() == []
    (outcome,) = await discarded(toy)
    assert (outcome.outcome, outcome.ended) == ("discarded", None)


async def test_an_intent_that_was_discarded_changes_nothing_when_it_is_sent_again(
    toy: Toy, ends: Ends
) -> None:
    (dead_letter,) = await given_up(toy, 0)
    await toy.engine.handle_batch([discard(0, dead_letter)])
    await resume(toy)
    await toy.engine.handle_batch([record(7, intent(0), id_="intent-0", key=OWN)])
    assert await toy.done() == []
    assert await ends.recorded() == [of(0)]


async def test_one_that_waits_behind_another_is_discarded_alone(toy: Toy, ends: Ends) -> None:
    _, second, _ = await given_up(toy, 0, 1, 2)
    await toy.engine.handle_batch([discard(0, second)])
    await resume(toy)
    assert await toy.done() == [0, 2]
    assert await ends.recorded() == [of(1)]


async def test_what_cannot_be_ended_stays_a_dead_letter_that_waits(toy: Toy, ends: Ends) -> None:
    (dead_letter,) = await given_up(toy, 0)
    ends.failing = True
    toy.broken["s0"] = ArithmeticError("no")
    await toy.engine.handle_batch([discard(0, dead_letter)])
    (outcome,) = await discarded(toy)
    assert (outcome.outcome, outcome.ended) == ("failed", None)
    assert "ArithmeticError" in outcome.detail
    assert await ends.recorded() == []
    ends.failing = False
    await toy.engine.handle_batch([discard(1, dead_letter)])
    assert [one.outcome for one in await discarded(toy)] == ["failed", "discarded"]
    assert await ends.recorded() == [of(0)]


async def test_without_the_data_key_what_is_parked_goes_on_and_no_operation_ends(
    toy: Toy, ends: Ends
) -> None:
    dead_letter, _ = await given_up(toy, 0, 1)
    toy.dead_letters = DeadLetters("policy", Cipher(bytes(32)))
    toy.restarted()
    await toy.engine.handle_batch([discard(0, dead_letter)])
    (outcome,) = await discarded(toy)
    assert (outcome.outcome, outcome.ended) == ("discarded", None)
    assert "cannot be decrypted" in outcome.detail
    assert await ends.recorded() == []


async def test_the_operation_of_an_intent_without_a_principal_is_not_ended(
    toy: Toy, ends: Ends
) -> None:
    (dead_letter,) = await given_up(toy, 0)
    refused: list[str] = []

    async def authenticate(_record: Record, envelope: object, _tx: Transaction) -> None:
        refused.append(str(envelope))

    toy.service.authenticate(authenticate)
    await toy.engine.handle_batch([discard(0, dead_letter)])
    assert len(refused) == 1
    assert await ends.recorded() == []
    assert [one.outcome for one in await discarded(toy)] == ["discarded"]


@pytest.mark.parametrize("asked", [RedriveDeadLetter, DiscardDeadLetter])
async def test_a_request_about_a_dead_letter_ends_when_its_own_record_is_discarded(
    toy: Toy, asked: type[RedriveDeadLetter] | type[DiscardDeadLetter]
) -> None:
    data = {"service": "policy", "dead_letter": "x"}
    fact = allowed(asked, {**data, "more": 1}, source=SOURCE, id_="please", about="x")
    data = fact.model_dump(mode="json")
    await toy.engine.handle_batch([record(0, data, type_=fact.TYPE, topic=fact.TOPIC, key="x")])
    (dead_letter,) = await toy.dead()
    assert dead_letter.operation == fact.operation
    await toy.engine.handle_batch([discard(1, dead_letter.dead_letter)])
    answers = [
        model.model_validate_json(event.data)
        for event in await toy.store.events()
        for model in (DeadLetterRedriven, DeadLetterDiscarded)
        if event.type == model.TYPE
    ]
    answer, own_outcome = answers
    assert (answer.operation, answer.outcome) == (fact.operation, "failed")
    assert isinstance(own_outcome, DeadLetterDiscarded)
    assert own_outcome.ended == fact.operation


async def test_a_fact_that_no_operation_waits_for_is_discarded_without_an_end(
    toy: Toy, ends: Ends
) -> None:
    fact = allowed(DeleteSubscription, {"no": "such"}, source=SOURCE, id_="for another service")
    toy.service.on(RequestAllowed, _fail)
    toy.restarted()
    data = fact.model_dump(mode="json")
    await toy.engine.handle_batch([record(0, data, type_=fact.TYPE, topic=fact.TOPIC, key="x")])
    (dead_letter,) = await toy.dead()
    await toy.engine.handle_batch([discard(1, dead_letter.dead_letter)])
    assert await ends.recorded() == []
    assert [one.outcome for one in await discarded(toy)] == ["discarded"]


async def _fail(received: Received[RequestAllowed], _tx: Transaction) -> None:
    if received.message.intent.type == DeleteSubscription.TYPE:
        raise ArithmeticError("a projection with a bug")


async def test_it_is_not_recovered_after_it_was_discarded(toy: Toy, ends: Ends) -> None:
    (dead_letter,) = await given_up(toy, 0)
    await toy.engine.handle_batch([discard(0, dead_letter)])
    await resume(toy)
    types = [event.type for event in await toy.store.events()]
    assert DeadLetterRecovered.TYPE not in types
    assert ends.operations == [of(0)]
