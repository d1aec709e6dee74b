"""An intent on the bus makes a service handle a dead letter again."""

import pytest

from busbar.kernel.errors import Conflict, Reject
from busbar.kernel.ids import operation_id
from busbar.messages.base import IntentRef
from busbar.messages.delivery import DeadLetterRedriven, RedriveDeadLetter
from busbar.messages.notification import DeleteSubscription
from busbar.messages.request import RequestAllowed
from busbar.messages.topics import dead_letters
from support.redrive import outcomes, redrive
from support.runtime import (
    SOURCE,
    Toy,
    intent,
    record,
    unreadable,
)


async def given_up(toy: Toy, error: BaseException | None = None) -> str:
    """Dead-letter record 5, fix the handler, and return the dead letter's id."""
    toy.broken["s5"] = error or Reject("no_use", "not yet")
    await toy.engine.handle_batch([record(5)])
    toy.broken.clear()
    (dead_letter,) = await toy.dead()
    return dead_letter.dead_letter


async def test_every_service_reads_the_requests_that_are_allowed(toy: Toy) -> None:
    assert RequestAllowed.TOPIC in toy.service.topics


async def test_a_dead_letter_that_is_redriven_is_handled_as_if_it_had_just_arrived(
    toy: Toy,
) -> None:
    dead_letter = await given_up(toy)
    await toy.engine.handle_batch([redrive(0, dead_letter)])
    assert await toy.done() == [5]
    (outcome,) = await outcomes(toy)
    assert (outcome.outcome, outcome.dead_letter, outcome.service) == (
        "handled",
        dead_letter,
        "policy",
    )
    assert outcome.intent == IntentRef(source=SOURCE, id="redrive-0", type=RedriveDeadLetter.TYPE)
    done = (await toy.store.events(key="payments"))[0]
    assert done.causation == "intent-5"
    assert done.correlation == str(operation_id(SOURCE, "intent-5"))


async def test_the_outcome_is_published_among_the_dead_letters_under_the_dead_letters_id(
    toy: Toy,
) -> None:
    dead_letter = await given_up(toy)
    await toy.engine.handle_batch([redrive(0, dead_letter)])
    event = (await toy.store.events(key=dead_letter))[-1]
    assert (event.type, event.topic) == (DeadLetterRedriven.TYPE, dead_letters("policy"))
    assert event.causation == "allowed-0"


async def test_a_dead_letter_that_is_redriven_twice_is_handled_once(toy: Toy) -> None:
    dead_letter = await given_up(toy)
    await toy.engine.handle_batch([redrive(0, dead_letter), redrive(1, dead_letter)])
    await toy.engine.handle_batch([redrive(0, dead_letter), redrive(2, dead_letter)])
    assert await toy.done() == [5]
    assert [outcome.outcome for outcome in await outcomes(toy)] == ["handled"] * 3
    assert (await outcomes(toy))[-1].detail == "its event has been handled in the meantime"


async def test_an_event_that_was_redriven_is_known_when_it_comes_again(toy: Toy) -> None:
    dead_letter = await given_up(toy)
    await toy.engine.handle_batch([redrive(0, dead_letter)])
    await toy.engine.handle_batch([record(6, intent(5), id_="intent-5")])
    assert await toy.done() == [5]


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (Reject("no_use", "still not"), "no_use: still not"),
        (ArithmeticError("with a pa55word"), "policy failed with ArithmeticError"),
    ],
)
async def test_a_dead_letter_that_fails_again_leaves_nothing_but_the_outcome(
    toy: Toy, error: Exception, detail: str
) -> None:
    dead_letter = await given_up(toy)
    before = await toy.effects()
    toy.broken["s5"] = error
    await toy.engine.handle_batch([redrive(0, dead_letter), record(6)])
    (outcome,) = await outcomes(toy)
    assert (outcome.outcome, outcome.detail) == ("failed", detail)
    assert await toy.done() == [6]
    after = await toy.effects()
    assert after["dead_letters"] == before["dead_letters"] == 1
    assert after["inbox"] == before["inbox"] + 2  # the redrive and the intent 6
    toy.broken.clear()
    await toy.engine.handle_batch([redrive(1, dead_letter)])
    assert await toy.done() == [6, 5]


async def test_a_conflict_while_redriving_is_a_reason_to_do_it_again(toy: Toy) -> None:
    dead_letter = await given_up(toy)
    toy.failing["s5"] = [Conflict("another writer was first")]
    await toy.engine.handle_batch([redrive(0, dead_letter)])
    assert [outcome.outcome for outcome in await outcomes(toy)] == ["handled"]
    assert await toy.done() == [5]


async def test_an_unreadable_dead_letter_stays_unreadable(toy: Toy) -> None:
    await toy.engine.handle_batch([unreadable(5)])
    (dead_letter,) = await toy.dead()
    await toy.engine.handle_batch([redrive(0, dead_letter.dead_letter)])
    (outcome,) = await outcomes(toy)
    assert outcome.outcome == "failed"
    assert outcome.detail.startswith("unreadable: still unreadable")


async def test_an_unknown_dead_letter_is_reported_as_unknown(toy: Toy) -> None:
    await toy.engine.handle_batch([redrive(0, "never-written")])
    (outcome,) = await outcomes(toy)
    assert outcome.outcome == "unknown_dead_letter"


async def test_requests_for_dead_letters_of_other_services_are_skipped(toy: Toy) -> None:
    dead_letter = await given_up(toy)
    await toy.engine.handle_batch([redrive(0, dead_letter, service="notifier")])
    assert await outcomes(toy) == []
    assert await toy.offsets() == {(DeleteSubscription.TOPIC, 0): 6, (RequestAllowed.TOPIC, 0): 1}
