"""The saga going forward, without any I/O: what is made, taken down, waited for."""

import pytest

from busbar.backends.port import Outcome
from busbar.messages.resource import (
    ResourceProvisioned,
    StepSucceeded,
)
from busbar.provisioner.domain.decisions import ATTEMPTS
from unit.provisioner.scenario import (
    Story,
    allowed,
    plan,
    provisioned,
    refused,
    step,
)

# -- making ----------------------------------------------------------------------------------------


def test_a_resource_is_created_step_by_step_in_the_order_of_its_plan() -> None:
    story = Story().ask(allowed(1, plan("a", "b"), size=3))
    lines = ["create a", "done a", "create b", "done b", "created 1"]
    assert story.work() == lines
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
    ended = story.facts[-1]
    assert isinstance(ended, ResourceProvisioned)
    assert ended.recreated == ("a",)
    assert ended.what_happened == "updated; a was gone and was made again, without what was in it"


def test_only_what_went_missing_is_named_as_recreated() -> None:
    story = provisioned("a", "b")
    del story.things["orders-b"]
    story.ask(allowed(2, plan("a", "b", "c"), size=2)).work()
    ended = story.facts[-1]
    assert isinstance(ended, ResourceProvisioned)
    assert ended.recreated == ("b",)
    story.ask(allowed(3, plan("a", "b", "c"), size=3)).work()
    ended = story.facts[-1]
    assert isinstance(ended, ResourceProvisioned)
    assert (ended.recreated, ended.what_happened) == ((), "updated")


def test_a_step_that_left_the_plan_is_removed_after_the_others_are_done() -> None:
    story = provisioned("a", "b", "c").ask(allowed(2, plan("c"), size=2))
    lines = ["update c", "done c", "remove b", "gone b", "remove a", "gone a", "updated 2"]
    assert story.work() == lines
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
    lines = story.ask(allowed(3, steps, more=False)).work()
    assert lines == ["kept a", "remove b", "gone b", "updated 3"]


def test_outputs_are_recorded_but_not_those_of_a_step_that_was_left_out() -> None:
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


# -- taking down -----------------------------------------------------------------------------------


def test_a_deletion_removes_in_reverse_order() -> None:
    story = provisioned("a", "b", "c").ask(allowed(2, action="delete"))
    lines = ["remove c", "gone c", "remove b", "gone b", "remove a", "gone a", "deleted 2"]
    assert story.work() == lines
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
    lines = [story.turn() for _ in range(ATTEMPTS)]
    assert lines[:-1] == [["remove a", "failed a refused"]] * (ATTEMPTS - 1)
    assert lines[-1][-1] == "stuck a refused"


# -- what is not known -----------------------------------------------------------------------------


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
def test_an_effect_that_another_lease_began_is_recorded_as_observed(
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


# -- readiness -------------------------------------------------------------------------------------


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
    lines = ["failed a not_ready!", "remove a", "gone a", "gave up 1, left absent"]
    assert story.work() == lines


def test_what_is_restored_and_not_ready_in_time_is_restored_all_the_same() -> None:
    story = provisioned("a", "b").ask(allowed(2, plan("a", "b"), size=2))
    story.answers["orders-b"] = [refused()]
    for _ in range(4):
        story.turn()
    story.unready, story.overdue = {"a"}, True
    assert story.work()[-2:] == ["restored a", "gave up 2, left previous"]


# -- bad plans -------------------------------------------------------------------------------------


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
    story = Story().ask(allowed(1, plan("a", left_out, bad)))  # type: ignore[arg-type]  # a step that policy would refuse
    lines = story.work()
    assert lines[2:] == ["failed b bad_plan!", "remove a", "gone a", "gave up 1, left absent"]
    assert story.things == {}


def test_an_output_that_cannot_be_resolved_fails_before_anything_is_taken_down() -> None:
    story = provisioned("a", "b").ask(allowed(2, plan("a", outputs={"x": "${steps.a.nothing}"})))
    lines = story.work()
    assert lines == ["kept a", "failed a bad_plan!", "gave up 2, left previous"]
    assert "orders-b" in story.things
