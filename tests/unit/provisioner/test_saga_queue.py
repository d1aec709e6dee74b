"""One operation of a resource after the other, and the same facts always the same state."""

import pytest

from busbar.backends.port import Observation, Presence
from busbar.kernel.decide import fold
from busbar.messages.resource import (
    ResourceQueued,
    StepUndone,
)
from busbar.provisioner.domain import (
    Ensure,
    Remove,
    ResourceState,
    Turn,
    decide_observed,
    evolve,
    next_command,
)
from unit.provisioner.scenario import (
    CORRELATION,
    NOW,
    TRACE,
    Story,
    allowed,
    plan,
    provisioned,
    refused,
    tale,
)

# -- one after the other ---------------------------------------------------------------------------


def test_a_second_intent_waits_for_the_first_and_runs_next() -> None:
    story = Story().ask(allowed(1, plan("a")), allowed(2, plan("a"), size=2))
    assert tale(story.facts) == ["queued 1", "queued 2"]
    lines = ["create a", "done a", "created 1", "update a", "done a", "updated 2"]
    assert story.work() == lines


def test_a_failed_operation_does_not_hold_up_the_next() -> None:
    story = Story().ask(allowed(1, plan("a")), allowed(2, plan("a"), size=2))
    story.answers["orders-a"] = [refused()]
    assert story.work()[-4:] == ["gave up 1, left absent", "create a", "done a", "created 2"]


def test_the_same_operation_is_queued_once_whether_it_runs_waits_or_is_over() -> None:
    story = Story().ask(*[allowed(1, plan("a"))] * 2, *[allowed(2, plan("a"), size=2)] * 2)
    assert tale(story.facts) == ["queued 1", "queued 2"]
    story.work()
    before = len(story.facts)
    story.ask(allowed(1, plan("a")), allowed(2, plan("a")))
    assert len(story.facts) == before
    assert story.state.saga is None


def test_a_failed_operation_is_not_begun_again_either() -> None:
    story = Story(things={"orders-a": ("them", {})}).ask(allowed(1, plan("a")))
    story.work()
    before = len(story.facts)
    story.ask(allowed(1, plan("a")))
    assert len(story.facts) == before


def test_a_queued_operation_carries_its_correlation_and_trace() -> None:
    story = Story().ask(allowed(1, plan("a"), size=4))
    queued = story.facts[0]
    assert isinstance(queued, ResourceQueued)
    assert (queued.correlation, queued.traceparent) == (CORRELATION, TRACE)
    assert (queued.spec, queued.plan) == ({"size": 4}, plan("a"))


def test_every_fact_names_its_operation_and_generation() -> None:
    story = Story().ask(allowed(1, plan("a")), allowed(2, action="delete"))
    story.work()
    by_operation = {fact.operation: set[int]() for fact in story.facts}
    for fact in story.facts:
        by_operation[fact.operation].add(fact.generation)  # type: ignore[attr-defined]  # every fact of a resource has one
    assert sorted(map(sorted, by_operation.values())) == [[1], [2]]


# -- joining --------------------------------------------------------------------------------------


def test_a_deletion_of_what_is_being_deleted_joins_it_and_ends_with_it() -> None:
    story = provisioned("a").ask(allowed(2, action="delete"), allowed(3, action="delete"))
    assert (
        story.work() == ["queued 2", "joined 3", "remove a", "gone a", "deleted 2", "deleted 3"][2:]
    )
    assert (story.state.generation, story.state.joined) == (3, ())
    before = len(story.facts)
    story.ask(allowed(3, action="delete"))
    assert len(story.facts) == before


def test_a_deletion_of_what_is_gone_succeeds_without_effect() -> None:
    story = provisioned("a").ask(allowed(2, action="delete"))
    story.work()
    assert story.ask(allowed(3, action="delete")).work() == ["deleted 3"]


def test_an_apply_of_what_is_being_applied_unchanged_joins_it() -> None:
    story = Story().ask(*(allowed(number, plan("a")) for number in (1, 2, 3)))
    assert story.work() == ["create a", "done a", "created 1", "unchanged 2", "unchanged 3"]
    assert story.state.generation == 3


def test_an_apply_joins_one_that_waits_as_well() -> None:
    story = Story().ask(
        allowed(1, plan("a")), allowed(2, plan("a"), size=2), allowed(3, plan("a"), size=2)
    )
    assert story.work()[-2:] == ["updated 2", "unchanged 3"]


def test_what_joined_fails_together_and_says_the_same() -> None:
    story = Story().ask(allowed(1, plan("a")), allowed(2, plan("a")))
    story.answers["orders-a"] = [refused()]
    assert story.work()[-2:] == ["gave up 1, left absent", "gave up 2, left absent"]


def test_an_apply_does_not_join_one_that_is_being_undone() -> None:
    story = Story().ask(allowed(1, plan("a", "b")))
    story.answers["orders-b"] = [refused()]
    for _ in range(3):
        story.turn()
    story.ask(allowed(2, plan("a", "b")))
    assert story.work()[-1] == "created 2"


def test_an_apply_between_two_deletions_is_carried_out() -> None:
    story = provisioned("a").ask(
        allowed(2, action="delete"), allowed(3, plan("a")), allowed(4, action="delete")
    )
    ends = [line for line in story.work() if line[-1].isdigit()]
    assert ends == ["deleted 2", "created 3", "deleted 4"]


# -- stuck ----------------------------------------------------------------------------------------


def test_an_operation_that_is_stuck_gives_way_to_another_that_is_asked_for() -> None:
    story = provisioned("a", "b").ask(allowed(2, action="delete"))
    story.answers["orders-b"] = [refused(), refused()]
    assert story.turn() == ["remove b", "failed b refused", "stuck b refused"]
    lines = story.ask(allowed(3, plan("a", "b"), size=2)).work()
    assert lines[2:6] == ["superseded", "left b ours", "left a ours", "gave up 2, left partial"]
    assert lines[-1] == "updated 3"


# -- pure ------------------------------------------------------------------------------------------


def test_the_same_facts_give_the_same_state_and_the_same_next_command() -> None:
    story = Story()
    story.ask(allowed(1, plan("a", "b")), allowed(2, plan("a", "b", "c"), size=2))
    story.answers["orders-c"] = [refused()]
    while story.state.saga is not None:
        story.turn()
        stored = [type(fact).model_validate_json(fact.model_dump_json()) for fact in story.facts]
        again = fold(evolve, ResourceState(), stored)
        assert again == story.state
        assert next_command(again) == next_command(story.state)
    assert tale(story.facts)[-1] == "gave up 2, left previous"


def test_facts_of_no_running_operation_change_nothing() -> None:
    story = provisioned("a")
    stray = StepUndone(
        operation=allowed(9).operation,
        resource=allowed(9).resource,
        generation=9,
        step="a",
        adapter="memory",
        restored=False,
        was_there=True,
        epoch=1,
    )
    assert evolve(story.state, stray) == story.state


def test_an_idle_resource_has_no_next_command() -> None:
    assert next_command(ResourceState()) is None
    assert provisioned("a").command is None


def test_the_commands_say_what_they_are_for() -> None:
    story = provisioned("a", "b").ask(allowed(2, plan("a", "c"), size=2))
    story.answers["orders-c"] = [refused()]
    assert isinstance(story.command, Ensure)
    assert not story.command.restoring
    story.turn()
    story.turn()
    story.turn()
    undoing = story.command
    assert isinstance(undoing, Remove)
    assert undoing.undoing
    story.turn()
    restoring = story.command
    assert isinstance(restoring, Ensure)
    assert restoring.restoring
    assert restoring.inputs == {"name": "orders-a", "size": 1}


def test_deciding_without_an_operation_is_a_mistake() -> None:
    command = Story().ask(allowed(1)).command
    assert isinstance(command, Ensure)
    seen = Observation(presence=Presence.ABSENT)
    with pytest.raises(ValueError, match="an operation must be running"):
        decide_observed(ResourceState(), command, seen, Turn(epoch=1, now=NOW), overdue=False)
