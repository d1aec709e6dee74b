"""The laws of the saga, without any I/O: what happened, and therefore what comes next."""

from dataclasses import replace

import pytest

from busbar.backends.port import Observation, Outcome, Presence
from busbar.kernel.decide import fold
from busbar.messages.resource import (
    ResourceFailed,
    ResourceProvisioned,
    ResourceQueued,
    StepFailed,
    StepStarted,
    StepSucceeded,
    StepUndone,
)
from busbar.provisioner.domain import (
    Ensure,
    Remove,
    ResourceState,
    decide_observed,
    evolve,
    next_command,
)
from busbar.provisioner.domain.decisions import ATTEMPTS
from unit.provisioner.scenario import (
    CORRELATION,
    TRACE,
    Story,
    allowed,
    plan,
    provisioned,
    refused,
    step,
    tale,
)

# -- making --------------------------------------------------------------------------------------


def test_a_resource_is_created_step_by_step_in_the_order_of_its_plan() -> None:
    story = Story().ask(allowed(1, plan("a", "b"), size=3))
    told = ["create a", "done a", "create b", "done b", "created 1"]
    assert story.work() == told
    assert story.things["orders-a"] == ("a", {"name": "orders-a", "size": 3})
    assert [applied.name for applied in story.state.applied] == ["a", "b"]
    assert story.state.generation == 1
    assert story.state.saga is None


def test_what_is_as_asked_already_is_kept_and_the_resource_is_unchanged() -> None:
    story = provisioned("a", "b").ask(allowed(2, plan("a", "b")))
    assert story.work() == ["kept a", "kept b", "unchanged 2"]


def test_an_update_touches_only_the_steps_that_change() -> None:
    steps = plan(step("a", size="fixed"), "b")
    story = Story().ask(allowed(1, steps, size=1))
    story.work()
    assert story.ask(allowed(2, steps, size=2)).work() == [
        "kept a",
        "update b",
        "done b",
        "updated 2",
    ]
    assert story.things["orders-b"] == ("b", {"name": "orders-b", "size": 2})


def test_a_thing_that_went_missing_is_made_again() -> None:
    story = provisioned("a")
    del story.things["orders-a"]
    assert story.ask(allowed(2, plan("a"))).work() == ["create a", "done a", "updated 2"]


def test_a_step_that_left_the_plan_is_removed_after_the_others_are_done() -> None:
    story = provisioned("a", "b", "c").ask(allowed(2, plan("c"), size=2))
    told = ["update c", "done c", "remove b", "gone b", "remove a", "gone a", "updated 2"]
    assert story.work() == told
    assert [applied.name for applied in story.state.applied] == ["c"]
    assert set(story.things) == {"orders-c"}


def test_a_step_whose_condition_does_not_hold_is_left_out() -> None:
    steps = plan("a", step("b", when="${spec.more}"))
    story = Story().ask(allowed(1, steps, more=False))
    assert story.work() == ["create a", "done a", "created 1"]
    assert story.ask(allowed(2, steps, more=True)).work()[-3:] == [
        "create b",
        "done b",
        "updated 2",
    ]
    told = story.ask(allowed(3, steps, more=False)).work()
    assert told == ["kept a", "remove b", "gone b", "updated 3"]


def test_outputs_are_told_but_not_those_of_a_step_that_was_left_out() -> None:
    outputs = {"first": "${steps.a.name}", "second": "${steps.b.name}", "size": "${spec.size}"}
    steps = plan("a", step("b", when="${spec.more}"), outputs=outputs)
    story = Story().ask(allowed(1, steps, more=False))
    story.work()
    ended = story.facts[-1]
    assert isinstance(ended, ResourceProvisioned)
    assert ended.outputs == {"first": "orders-a", "size": 1}


def test_a_later_step_sees_the_outputs_of_an_earlier_one_and_the_resource() -> None:
    later = step("b", beside="${steps.a.name}", of="${resource.team}")
    story = Story().ask(allowed(1, plan("a", later)))
    story.work()
    assert story.things["orders-b"][1]["beside"] == "orders-a"
    assert story.things["orders-b"][1]["of"] == "payments"


# -- taking down ---------------------------------------------------------------------------------


def test_a_deletion_removes_in_reverse_order() -> None:
    story = provisioned("a", "b", "c").ask(allowed(2, action="delete"))
    told = ["remove c", "gone c", "remove b", "gone b", "remove a", "gone a", "deleted 2"]
    assert story.work() == told
    assert story.things == {}
    assert story.state.applied == ()


def test_deleting_what_was_never_made_or_is_gone_already_succeeds() -> None:
    assert Story().ask(allowed(1, action="delete")).work() == ["deleted 1"]
    story = provisioned("a")
    story.things.clear()
    assert story.ask(allowed(2, action="delete")).work() == ["absent a", "deleted 2"]


def test_a_deleted_resource_can_be_made_again() -> None:
    story = provisioned("a").ask(allowed(2, action="delete"), allowed(3, plan("a")))
    assert story.work()[-3:] == ["create a", "done a", "created 3"]


def test_a_foreign_thing_at_a_deletion_makes_it_stuck_once() -> None:
    story = provisioned("a", "b")
    story.things["orders-a"] = ("them", {})
    story.ask(allowed(2, action="delete"))
    assert story.work() == ["remove b", "gone b", "stuck a not_ours"]
    assert story.work() == []
    assert story.things == {"orders-a": ("them", {})}
    del story.things["orders-a"]
    assert story.work() == ["absent a", "deleted 2"]


def test_a_removal_that_is_refused_for_good_is_stuck_and_goes_on_when_it_is_not() -> None:
    story = provisioned("a").ask(allowed(2, action="delete"))
    story.answers["orders-a"] = [refused(), refused()]
    assert story.turn() == ["remove a", "failed a refused", "stuck a refused"]
    assert story.turn() == ["remove a", "failed a refused"]
    assert story.work() == ["remove a", "gone a", "deleted 2"]


def test_a_removal_that_is_refused_for_now_is_stuck_after_as_many_tries() -> None:
    story = provisioned("a").ask(allowed(2, action="delete"))
    story.answers["orders-a"] = [refused(permanent=False)] * ATTEMPTS
    told = [story.turn() for _ in range(ATTEMPTS)]
    assert told[:-1] == [["remove a", "failed a refused"]] * (ATTEMPTS - 1)
    assert told[-1][-1] == "stuck a refused"


# -- taking back ---------------------------------------------------------------------------------


def test_a_failure_takes_back_what_was_created_in_reverse_order() -> None:
    story = Story().ask(allowed(1, plan("a", "b", "c")))
    story.answers["orders-c"] = [refused()]
    told = story.work()
    assert told[4:] == [
        "create c",
        "failed c refused!",
        "absent c",
        "remove b",
        "gone b",
        "remove a",
        "gone a",
        "gave up 1, left absent",
    ]
    ended = story.facts[-1]
    assert isinstance(ended, ResourceFailed)
    assert (ended.failed_step, ended.reason, ended.detail) == ("c", "refused", "the world said no")
    assert ended.undone == ("b", "a")
    assert story.things == {}
    assert story.state == replace(ResourceState(), ended=story.state.ended)


def test_a_failure_gives_updated_steps_their_previous_inputs_again() -> None:
    story = provisioned("a", "b")
    before = dict(story.things)
    story.ask(allowed(2, plan("a", "b"), size=2))
    story.answers["orders-b"] = [refused()]
    assert story.work() == [
        "update a",
        "done a",
        "update b",
        "failed b refused!",
        "restored b",
        "restore a",
        "restored a",
        "gave up 2, left previous",
    ]
    assert story.things == before
    assert story.state.generation == 1


def test_a_failure_leaves_alone_what_the_operation_did_not_change() -> None:
    steps = plan(step("a", size="fixed"), "b")
    story = Story().ask(allowed(1, steps))
    story.work()
    story.answers["orders-b"] = [refused()]
    story.ask(allowed(2, steps, size=2))
    assert not [word for word in story.work() if word.endswith(" a") and word != "kept a"]


def test_a_failure_makes_again_what_the_operation_had_removed() -> None:
    """No decision of today fails after a removal; should one ever, this is what follows."""
    story = provisioned("a", "b").ask(allowed(2, plan("a")))
    assert [story.turn() for _ in range(3)] == [["kept a"], ["remove b"], ["gone b"]]
    removed = next(fact for fact in story.facts if isinstance(fact, StepStarted))
    failed = StepFailed(
        **removed.model_dump(include={"operation", "resource", "generation", "adapter", "epoch"}),
        step="a",
        reason="refused",
        detail="",
        permanent=True,
        attempt=1,
    )
    story.tell(failed)
    assert story.work() == ["restore b", "restored b", "gave up 2, left previous"]
    assert story.things["orders-b"] == ("b", {"name": "orders-b", "size": 1})


def test_what_existed_before_the_operation_is_never_removed_by_taking_back() -> None:
    story = Story(things={"orders-a": ("a", {"name": "orders-a", "size": 1})})
    story.ask(allowed(1, plan("a", "b")))
    story.answers["orders-b"] = [refused()]
    assert story.work() == [
        "kept a",
        "create b",
        "failed b refused!",
        "absent b",
        "gave up 1, left absent",
    ]
    assert "orders-a" in story.things


def test_what_was_ours_before_the_operation_and_was_updated_is_not_removed() -> None:
    story = Story(things={"orders-a": ("a", {"name": "orders-a", "size": 9})})
    story.ask(allowed(1, plan("a", "b")))
    story.answers["orders-b"] = [refused()]
    assert "remove a" not in story.work()
    assert "orders-a" in story.things


def test_a_second_attempt_at_creating_still_counts_as_created() -> None:
    """The first try made it although its answer was lost: seen as ours, it is ours to remove."""
    story = Story().ask(allowed(1, plan("a", "b")))
    story.answers["orders-a"] = [Outcome.unknown("timeout", "")]
    story.turn()
    story.things["orders-a"] = ("a", {"name": "orders-a", "size": 0})
    story.answers["orders-b"] = [refused()]
    told = story.work()
    assert told[:2] == ["update a", "done a"]
    assert told[-3:] == ["remove a", "gone a", "gave up 1, left absent"]


def test_a_foreign_thing_at_a_creation_is_refused_and_the_rest_taken_back() -> None:
    story = Story(things={"orders-b": ("them", {"size": 7})}).ask(allowed(1, plan("a", "b")))
    told = ["failed b not_ours!", "remove a", "gone a", "gave up 1, left absent"]
    assert story.work()[2:] == told
    assert story.things == {"orders-b": ("them", {"size": 7})}


def test_a_foreign_thing_at_an_undo_means_that_nothing_of_ours_is_there() -> None:
    story = Story().ask(allowed(1, plan("a", "b")))
    story.answers["orders-b"] = [refused()]
    for _ in range(3):
        story.turn()
    story.things["orders-a"] = ("them", {})
    assert story.work() == ["absent b", "absent a", "gave up 1, left absent"]
    assert story.things == {"orders-a": ("them", {})}


def test_a_foreign_thing_where_something_is_to_be_restored_makes_it_stuck_once() -> None:
    story = provisioned("a", "b").ask(allowed(2, plan("a", "b"), size=2))
    story.answers["orders-b"] = [refused()]
    for _ in range(4):
        story.turn()
    story.things["orders-a"] = ("them", {})
    assert story.work()[-1] == "stuck a not_ours"
    assert story.work() == []
    del story.things["orders-a"]
    assert story.work() == ["restore a", "restored a", "gave up 2, left previous"]


def test_an_undo_that_fails_is_tried_again_and_then_stuck_but_never_forgotten() -> None:
    story = Story().ask(allowed(1, plan("a", "b")))
    story.answers["orders-b"] = [refused()]
    while story.state.saga and story.state.saga.phase == "forward":
        story.turn()
    story.answers["orders-a"] = [refused(permanent=False)] * (ATTEMPTS + 2)
    told = story.work()
    assert told.count("failed a refused") == ATTEMPTS + 2
    assert told.count("stuck a refused") == 1
    assert told[-3:] == ["remove a", "gone a", "gave up 1, left absent"]


# -- trying again --------------------------------------------------------------------------------


def test_a_refusal_for_now_is_tried_again_and_forgotten_after_a_success() -> None:
    story = Story().ask(allowed(1, plan("a")))
    story.answers["orders-a"] = [refused(permanent=False)] * (ATTEMPTS - 1)
    told = story.work()
    assert told.count("failed a refused") == ATTEMPTS - 1
    assert told[-2:] == ["done a", "created 1"]
    starts = [fact.attempt for fact in story.facts if isinstance(fact, StepStarted)]
    assert starts == list(range(1, ATTEMPTS + 1))


def test_the_tries_of_each_step_are_counted_for_themselves() -> None:
    story = Story().ask(allowed(1, plan("a", "b")))
    for name in ("orders-a", "orders-b"):
        story.answers[name] = [refused(permanent=False)] * (ATTEMPTS - 1)
    assert story.work()[-1] == "created 1"


def test_after_as_many_tries_the_operation_is_taken_back() -> None:
    story = Story().ask(allowed(1, plan("a", "b")))
    story.answers["orders-b"] = [refused(permanent=False)] * ATTEMPTS
    told = story.work()
    assert told.count("create b") == ATTEMPTS
    assert told.count("failed b refused") == ATTEMPTS - 1
    assert told[-5:] == [
        "failed b refused!",
        "absent b",
        "remove a",
        "gone a",
        "gave up 1, left absent",
    ]


def test_every_try_of_one_effect_has_the_same_key_and_every_effect_its_own() -> None:
    story = provisioned("a", "b")
    story.answers["orders-a"] = [refused(permanent=False)]
    story.answers["orders-b"] = [refused()]
    story.ask(allowed(2, plan("a", "b"), size=2))
    story.work()
    starts = [fact for fact in story.facts if isinstance(fact, StepStarted)]
    by_effect = {(fact.step, fact.action): fact.operation_key for fact in starts}
    assert len({fact.operation_key for fact in starts}) == len(by_effect)
    assert tale(starts) == ["update a", "update a", "update b", "restore a"]


def test_what_has_no_effect_counts_as_a_failed_try() -> None:
    """A backend that says done and does nothing is not called for ever."""
    story = Story().ask(allowed(1, plan("a")))
    story.answers["orders-a"] = [Outcome.done()] * 20
    for _ in range(ATTEMPTS - 1):
        assert story.turn() == ["create a"]
        assert story.turn() == ["failed a no_effect"]
        story.epoch += 1
    story.turn()
    assert story.turn() == ["failed a no_effect!"]
    assert story.work() == ["absent a", "gave up 1, left absent"]


def test_an_update_that_never_becomes_as_asked_says_what_differs() -> None:
    story = provisioned("a").ask(allowed(2, plan("a"), size=2))
    story.answers["orders-a"] = [Outcome.done()]
    story.turn()
    story.turn()
    failed = story.facts[-1]
    assert isinstance(failed, StepFailed)
    assert failed.reason == "no_effect"
    assert "size" in failed.detail


def test_a_removal_without_effect_is_stuck_after_as_many_tries() -> None:
    story = provisioned("a").ask(allowed(2, action="delete"))
    story.answers["orders-a"] = [Outcome.done()] * 20
    told: list[str] = []
    for _ in range(ATTEMPTS):
        told += story.turn() + story.turn()
        story.epoch += 1
    assert told.count("failed a no_effect") == ATTEMPTS
    assert told[-1] == "stuck a no_effect"


# -- what is not known ---------------------------------------------------------------------------


def test_an_unknown_outcome_is_believed_only_after_a_look() -> None:
    story = Story().ask(allowed(1, plan("a")))
    story.answers["orders-a"] = [Outcome.unknown("timeout", "")]
    assert story.turn() == ["create a"]
    story.things["orders-a"] = ("a", {"name": "orders-a", "size": 1})
    assert story.work() == ["done a", "created 1"]
    done = next(fact for fact in story.facts if isinstance(fact, StepSucceeded))
    assert done.changed


def test_an_unknown_outcome_that_had_no_effect_is_acted_on_again() -> None:
    story = Story().ask(allowed(1, plan("a")))
    story.answers["orders-a"] = [Outcome.unknown("timeout", "")]
    assert story.work() == ["create a", "create a", "done a", "created 1"]


@pytest.mark.parametrize(("later", "expected"), [(0, False), (1, True)])
def test_what_another_lease_had_begun_and_is_done_is_told_as_such(
    later: int,
    expected: bool,  # noqa: FBT001 - a parameter
) -> None:
    story = Story().ask(allowed(1, plan("a")))
    story.turn()
    story.epoch += later
    story.work()
    done = next(fact for fact in story.facts if isinstance(fact, StepSucceeded))
    assert done.observed_after_unknown is expected
    assert done.epoch == story.epoch


# -- readiness -----------------------------------------------------------------------------------


def test_what_is_not_ready_is_waited_for() -> None:
    story = Story(unready={"a"}).ask(allowed(1, plan("a")))
    assert story.work() == ["create a"]
    assert story.work() == []
    story.unready.clear()
    assert story.work() == ["done a", "created 1"]


def test_what_is_not_ready_in_time_fails_and_is_removed() -> None:
    story = Story(unready={"a"}).ask(allowed(1, plan("a")))
    story.work()
    story.overdue = True
    told = ["failed a not_ready!", "remove a", "gone a", "gave up 1, left absent"]
    assert story.work() == told


def test_what_is_restored_and_never_ready_is_stuck_not_lost() -> None:
    story = provisioned("a", "b").ask(allowed(2, plan("a", "b"), size=2))
    story.answers["orders-b"] = [refused()]
    for _ in range(4):
        story.turn()
    story.unready, story.overdue = {"a"}, True
    assert story.work()[-1] == "stuck a not_ready"
    assert story.work() == []
    story.unready.clear()
    assert story.work() == ["restored a", "gave up 2, left previous"]


# -- another thing -------------------------------------------------------------------------------


def test_an_update_that_names_another_thing_fails_before_it_is_made() -> None:
    story = provisioned("a", "b")
    before = dict(story.things)
    moved = plan("a", step("b", name="elsewhere"))
    told = story.ask(allowed(2, moved)).work()
    assert told == ["kept a", "failed b cannot_change!", "gave up 2, left previous"]
    assert story.things == before


def test_an_update_to_another_adapter_fails_before_anything_is_made() -> None:
    story = provisioned("a")
    told = story.ask(allowed(2, plan(step("a", adapter="other", name="elsewhere")))).work()
    assert told == ["failed a cannot_change!", "gave up 2, left previous"]


def test_a_thing_made_under_a_new_name_because_the_old_one_was_gone_is_taken_back() -> None:
    story = provisioned("a", "b")
    del story.things["orders-a"]
    story.answers["orders-b"] = [refused()]
    story.ask(allowed(2, plan(step("a", name="elsewhere"), "b"), size=2))
    assert story.work() == [
        "create a",
        "done a",
        "update b",
        "failed b refused!",
        "restored b",
        "remove a",
        "gone a",
        "restore a",
        "restored a",
        "gave up 2, left previous",
    ]
    assert set(story.things) == {"orders-a", "orders-b"}


def test_a_thing_made_again_as_it_was_stays_when_a_later_step_fails() -> None:
    steps = plan(step("a", size="fixed"), "b")
    story = Story().ask(allowed(1, steps))
    story.work()
    del story.things["orders-a"]
    story.answers["orders-b"] = [refused()]
    told = story.ask(allowed(2, steps, size=2)).work()
    assert told[:2] == ["create a", "done a"]
    assert "remove a" not in told
    assert "orders-a" in story.things


# -- bad plans -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        step("b", wrong="${spec.nowhere}"),
        step("b", wrong="${nonsense"),
        step("b", when="not a condition"),
    ],
)
def test_an_expression_that_cannot_be_resolved_fails_the_operation(bad: object) -> None:
    left_out = step("z", when="${spec.never}")
    story = Story().ask(allowed(1, plan("a", left_out, bad)))  # type: ignore[arg-type]
    told = story.work()
    assert told[2:] == ["failed b bad_plan!", "remove a", "gone a", "gave up 1, left absent"]
    assert story.things == {}


def test_an_output_that_cannot_be_resolved_fails_before_anything_is_taken_down() -> None:
    story = provisioned("a", "b").ask(allowed(2, plan("a", outputs={"x": "${steps.a.nothing}"})))
    told = story.work()
    assert told == ["kept a", "failed a bad_plan!", "gave up 2, left previous"]
    assert "orders-b" in story.things


# -- one after the other -------------------------------------------------------------------------


def test_a_second_intent_waits_for_the_first_and_runs_next() -> None:
    story = Story().ask(allowed(1, plan("a")), allowed(2, plan("a"), size=2))
    assert tale(story.facts) == ["queued 1", "queued 2"]
    told = ["create a", "done a", "created 1", "update a", "done a", "updated 2"]
    assert story.work() == told


def test_a_failed_operation_does_not_hold_up_the_next() -> None:
    story = Story().ask(allowed(1, plan("a")), allowed(2, plan("a"), size=2))
    story.answers["orders-a"] = [refused()]
    assert story.work()[-4:] == ["gave up 1, left absent", "create a", "done a", "created 2"]


def test_the_same_operation_is_queued_once_whether_it_runs_waits_or_is_over() -> None:
    story = Story().ask(*[allowed(1, plan("a"))] * 2, *[allowed(2, plan("a"))] * 2)
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
        by_operation[fact.operation].add(fact.generation)  # type: ignore[attr-defined]
    assert sorted(map(sorted, by_operation.values())) == [[1], [2]]


# -- pure ----------------------------------------------------------------------------------------


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
    with pytest.raises(ValueError, match="no operation"):
        decide_observed(ResourceState(), command, seen, epoch=1, overdue=False)
