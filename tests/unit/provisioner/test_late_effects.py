"""Calls that were not answered and are carried out later: remembered, reached, looked at again."""

from datetime import timedelta
from uuid import UUID

import pytest

from busbar.backends.port import Fencing, Outcome, acts_late_seconds
from busbar.messages.resource import StepStarted, StepUndone
from busbar.provisioner.domain.unsettled import unsettled_after
from busbar.testing.memory import MemoryBackend
from unit.provisioner.scenario import Story, allowed, plan, provisioned, refused, tale

LATE = timedelta(seconds=20)
HANGS = Outcome.unknown("timeout", "no answer")


def failed_after_a_create_that_hangs(late: timedelta | None) -> Story:
    """A story whose only step hangs once, and is refused when it is tried again."""
    story = Story(late=late).ask(allowed(1, plan("a")))
    story.answers["orders-a"] = [HANGS, refused()]
    while story.state.saga is not None and story.state.saga.phase == "forward":
        story.turn()
    return story


def test_an_undo_calls_the_backend_with_a_newer_epoch_though_nothing_seems_to_be_there() -> None:
    story = failed_after_a_create_that_hangs(None)
    create, *_ = [fact for fact in story.facts if isinstance(fact, StepStarted)]
    assert story.work() == ["remove a", "absent a", "gave up 1, left absent"]
    remove = [fact for fact in story.facts if isinstance(fact, StepStarted)][-1]
    assert (remove.action, remove.observed) == ("remove", "absent")
    assert remove.epoch > create.epoch
    assert story.state.unsettled == ()


def test_an_operation_waits_until_its_backend_cannot_act_any_more_and_removes_what_came() -> None:
    story = failed_after_a_create_that_hangs(LATE)
    begin = story.time
    assert story.turn() == ["remove a"]
    assert story.turn() == ["absent a"]
    assert story.turn() == ["waits for a"]
    assert story.time - begin == LATE
    story.things["orders-a"] = ("a", {"name": "orders-a", "size": 1})
    assert story.work() == ["remove a", "gone a", "gave up 1, left absent"]
    assert story.things == {}
    assert story.state.unsettled == ()


def test_an_operation_that_waited_in_vain_ends_without_another_call() -> None:
    story = failed_after_a_create_that_hangs(LATE)
    assert story.work() == [
        "remove a",
        "absent a",
        "waits for a",
        "absent a",
        "gave up 1, left absent",
    ]


def test_an_update_that_was_overwritten_by_an_older_one_is_corrected() -> None:
    story = provisioned("a")
    story.late = LATE
    story.answers["orders-a"] = [HANGS, refused()]
    story.ask(allowed(2, plan("a"), size=2))
    lines: list[str] = []
    while "waits for a" not in lines:
        lines += story.turn()
    story.things["orders-a"] = ("a", {"name": "orders-a", "size": 2})
    assert story.work() == ["restore a", "restored a", "gave up 2, left previous"]
    assert story.things["orders-a"][1]["size"] == 1


def test_a_late_call_of_an_operation_that_succeeded_is_waited_for_by_the_next() -> None:
    story = Story(late=LATE).ask(allowed(1, plan("a")))
    story.answers["orders-a"] = [HANGS]
    story.turn()
    assert story.work() == ["create a", "done a", "created 1"]
    assert len(story.state.unsettled) == 1
    story.ask(allowed(2, action="delete"))
    assert [story.turn() for _ in range(3)] == [["remove a"], ["gone a"], ["waits for a"]]
    story.things["orders-a"] = ("a", {"name": "orders-a", "size": 1})
    assert story.work() == ["remove a", "gone a", "deleted 2"]
    assert story.things == {}


def test_an_attempt_at_the_same_effect_is_not_waited_for() -> None:
    story = Story(late=LATE).ask(allowed(1, plan("a")))
    story.answers["orders-a"] = [HANGS]
    story.turn()
    assert "waits for a" not in story.work()


def test_what_was_answered_is_never_waited_for() -> None:
    story = Story(late=LATE).ask(allowed(1, plan("a", "b")))
    story.answers["orders-b"] = [refused()]
    assert [line for line in story.work() if line.startswith("waits")] == []
    assert story.state.unsettled == ()


@pytest.mark.parametrize(
    ("fencing", "declared", "seconds"),
    [
        (Fencing.CONDITIONAL, None, 0.0),
        (Fencing.SESSION_LOCKED, None, 0.0),
        (Fencing.UNFENCED, None, 60.0),
        (Fencing.UNFENCED, 5.0, 5.0),
        (Fencing.CONDITIONAL, 3.0, 3.0),
    ],
)
def test_an_adapter_says_how_late_its_backend_acts(
    fencing: Fencing, declared: float | None, seconds: float
) -> None:
    backend = MemoryBackend()
    backend.fencing = fencing
    if declared is not None:
        backend.acts_late_seconds = declared  # type: ignore[attr-defined]  # as adapters may
    assert acts_late_seconds(backend) == seconds


def test_attempts_at_one_effect_are_remembered_as_two_calls_at_most() -> None:
    operation = UUID(int=1)
    start = StepStarted.model_validate(
        {**StepStarted.EXAMPLES[0], "operation": operation, "settles_at": None}
    )
    calls = unsettled_after((), start)
    for epoch in range(2, 9):
        calls = unsettled_after(calls, start.model_copy(update={"epoch": epoch}))
    assert [(one.epoch, one.under_way) for one in calls] == [(7, False), (8, True)]
    settled = StepUndone.model_validate({**StepUndone.EXAMPLES[0], "settled": True})
    (last,) = unsettled_after(calls, settled)
    assert (last.epoch, last.under_way) == (8, False)
    assert unsettled_after(calls, settled.model_copy(update={"confirmed": True})) == ()


def test_the_tale_of_a_waiting_operation_names_it_once() -> None:
    story = failed_after_a_create_that_hangs(LATE)
    story.work()
    assert tale(story.facts).count("waits for a") == 1
