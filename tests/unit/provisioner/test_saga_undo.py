"""The saga going back, without any I/O: what failed is tried again, then taken back."""

from busbar.backends.port import Outcome
from busbar.messages.resource import (
    ResourceFailed,
    StepFailed,
    StepStarted,
)
from busbar.provisioner.domain import Ensure, ResourceState, decide_observed, decide_outcome
from busbar.provisioner.domain.decisions import ATTEMPTS
from unit.provisioner.scenario import (
    Story,
    allowed,
    plan,
    provisioned,
    refused,
    step,
    tale,
)

# -- taking back -----------------------------------------------------------------------------------


def test_a_failure_takes_back_what_was_created_in_reverse_order() -> None:
    story = Story().ask(allowed(1, plan("a", "b", "c")))
    story.answers["orders-c"] = [refused()]
    lines = story.work()
    assert lines[4:] == [
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
    assert story.state == ResourceState(ended=story.state.ended)


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
    story.record(failed)
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
        "left a ours",
        "gave up 1, left partial",
    ]
    assert "orders-a" in story.things
    assert story.ask(allowed(2, action="delete")).work()[-1] == "deleted 2"
    assert story.things == {}


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
    lines = story.work()
    assert lines[:2] == ["update a", "done a"]
    assert lines[-3:] == ["remove a", "gone a", "gave up 1, left absent"]


def test_a_foreign_thing_at_a_creation_is_refused_and_the_rest_taken_back() -> None:
    story = Story(things={"orders-b": ("them", {"size": 7})}).ask(allowed(1, plan("a", "b")))
    lines = ["failed b not_ours!", "remove a", "gone a", "gave up 1, left absent"]
    assert story.work()[2:] == lines
    assert story.things == {"orders-b": ("them", {"size": 7})}


def test_a_foreign_thing_at_an_undo_means_that_nothing_of_ours_is_there() -> None:
    story = Story().ask(allowed(1, plan("a", "b")))
    story.answers["orders-b"] = [refused()]
    for _ in range(3):
        story.turn()
    story.things["orders-a"] = ("them", {})
    assert story.work() == ["absent b", "absent a", "gave up 1, left absent"]
    assert story.things == {"orders-a": ("them", {})}


def test_a_foreign_thing_where_something_is_to_be_restored_ends_the_operation() -> None:
    story = provisioned("a", "b").ask(allowed(2, plan("a", "b"), size=2))
    story.answers["orders-b"] = [refused()]
    for _ in range(4):
        story.turn()
    story.things["orders-a"] = ("them", {})
    assert story.work() == ["left a foreign", "gave up 2, left partial"]
    ended = story.facts[-1]
    assert isinstance(ended, ResourceFailed)
    assert ended.what_is_left == "a belongs to another owner"
    assert story.ask(allowed(3, action="delete")).work()[-1] == "deleted 3"
    assert story.things == {"orders-a": ("them", {})}


def fails_with_an_impossible_undo() -> Story:
    """A story whose update has failed, and whose first step cannot be restored."""
    story = provisioned("a", "b").ask(allowed(2, plan("a", "b"), size=2))
    story.answers["orders-b"] = [refused()]
    while story.state.saga is not None and story.state.saga.phase == "forward":
        story.turn()
    story.answers["orders-a"] = [refused()]
    assert story.work() == ["restore a", "left a ours", "gave up 2, left partial"]
    return story


def test_an_undo_that_is_refused_for_good_ends_the_operation_and_says_what_is_there() -> None:
    ended = fails_with_an_impossible_undo().facts[-1]
    assert isinstance(ended, ResourceFailed)
    (left,) = ended.remains
    assert (left.step, left.presence, left.inputs) == ("a", "ours", {"name": "orders-a", "size": 2})
    assert left.outputs == {"name": "orders-a", "size": 2}
    assert (left.reason, left.detail) == ("refused", "the world said no")
    assert ended.what_is_left == "a exists (name=orders-a, size=2)"
    assert (ended.failed_step, ended.reason, ended.observed_generation) == ("b", "refused", 1)


def test_after_an_impossible_undo_an_update_begins_with_what_is_there() -> None:
    story = fails_with_an_impossible_undo()
    lines = story.ask(allowed(3, plan("a", "b"), size=2)).work()
    assert lines == ["kept a", "update b", "done b", "updated 3"]


def test_after_an_impossible_undo_a_deletion_removes_what_is_there() -> None:
    story = fails_with_an_impossible_undo()
    assert story.ask(allowed(3, action="delete")).work()[-1] == "deleted 3"
    assert story.things == {}


def test_a_creation_whose_removal_is_refused_for_good_stays_known_and_can_be_deleted() -> None:
    story = Story().ask(allowed(1, plan("a", "b")))
    story.answers["orders-b"] = [refused()]
    while story.state.saga is not None and story.state.saga.phase == "forward":
        story.turn()
    story.answers["orders-a"] = [refused()]
    assert story.work()[-2:] == ["left a ours", "gave up 1, left partial"]
    assert story.ask(allowed(2, action="delete")).work()[-1] == "deleted 2"
    assert story.things == {}


def test_a_refused_change_of_something_changed_by_others_is_not_undone() -> None:
    """It differs from what was applied, so that a restoration would be refused as well."""
    story = provisioned("a")
    story.things["orders-a"] = ("a", {"name": "orders-a", "size": 7})
    story.answers["orders-a"] = [refused(), refused()]
    lines = story.ask(allowed(2, plan("a"), size=2)).work()
    assert lines == ["update a", "failed a refused!", "gave up 2, left previous"]
    assert story.things["orders-a"] == ("a", {"name": "orders-a", "size": 7})


def test_a_refused_change_that_had_an_effect_is_undone() -> None:
    story = provisioned("a").ask(allowed(2, plan("a"), size=2))
    command = story.command
    assert isinstance(command, Ensure)
    before = story.saw(command, command.inputs)
    story.record(*decide_observed(story.state, command, before, story.now, overdue=False))
    story.things["orders-a"] = ("a", {"name": "orders-a", "size": 9})
    after = story.saw(command, command.inputs)
    facts = decide_outcome(
        story.state, command, refused(), story.now, answered=True, seen=before, after=after
    )
    story.record(*facts)
    assert story.work()[-3:] == ["restore a", "restored a", "gave up 2, left previous"]


def test_a_change_is_undone_if_any_attempt_at_it_may_have_had_an_effect() -> None:
    story = provisioned("a").ask(allowed(2, plan("a"), size=2))
    story.answers["orders-a"] = [Outcome.unknown("timeout", ""), refused()]
    lines = story.work()
    assert "restored a" in lines
    assert lines[-1] == "gave up 2, left previous"


def test_a_removal_that_an_update_asks_for_and_that_is_refused_for_good_fails_the_update() -> None:
    story = provisioned("a", "b").ask(allowed(2, plan("a"), size=2))
    story.answers["orders-b"] = [refused()]
    lines = story.work()
    assert lines[2:] == [
        "remove b",
        "failed b refused!",
        "restore a",
        "restored a",
        "gave up 2, left previous",
    ]
    assert set(story.things) == {"orders-a", "orders-b"}


def test_an_undo_that_fails_is_tried_again_and_then_stuck_but_never_forgotten() -> None:
    story = Story().ask(allowed(1, plan("a", "b")))
    story.answers["orders-b"] = [refused()]
    while story.state.saga and story.state.saga.phase == "forward":
        story.turn()
    story.answers["orders-a"] = [refused(permanent=False)] * (ATTEMPTS + 2)
    lines = story.work()
    assert lines.count("failed a refused") == ATTEMPTS + 2
    assert lines.count("stuck a refused") == 1
    assert lines[-3:] == ["remove a", "gone a", "gave up 1, left absent"]


# -- trying again ----------------------------------------------------------------------------------


def test_a_refusal_for_now_is_tried_again_and_forgotten_after_a_success() -> None:
    story = Story().ask(allowed(1, plan("a")))
    story.answers["orders-a"] = [refused(permanent=False)] * (ATTEMPTS - 1)
    lines = story.work()
    assert lines.count("failed a refused") == ATTEMPTS - 1
    assert lines[-2:] == ["done a", "created 1"]
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
    lines = story.work()
    assert lines.count("create b") == ATTEMPTS
    assert lines.count("failed b refused") == ATTEMPTS - 1
    assert lines[-5:] == [
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
    """A backend that says done and does nothing is not called indefinitely."""
    story = Story().ask(allowed(1, plan("a")))
    story.answers["orders-a"] = [Outcome.done()] * 20
    for _ in range(ATTEMPTS - 1):
        assert story.turn() == ["create a"]
        assert story.turn() == ["failed a no_effect"]
        story.epoch += 1
    story.turn()
    assert story.turn() == ["failed a no_effect!"]
    assert story.work() == ["remove a", "absent a", "gave up 1, left absent"]


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
    lines: list[str] = []
    for _ in range(ATTEMPTS):
        lines += story.turn() + story.turn()
        story.epoch += 1
    assert lines.count("failed a no_effect") == ATTEMPTS
    assert lines[-1] == "stuck a no_effect"


# -- another thing ---------------------------------------------------------------------------------


def test_an_update_that_names_another_thing_fails_before_it_is_made() -> None:
    story = provisioned("a", "b")
    before = dict(story.things)
    moved = plan("a", step("b", name="elsewhere"))
    lines = story.ask(allowed(2, moved)).work()
    assert lines == ["kept a", "failed b cannot_change!", "gave up 2, left previous"]
    assert story.things == before


def test_an_update_to_another_adapter_fails_before_anything_is_made() -> None:
    story = provisioned("a")
    lines = story.ask(allowed(2, plan(step("a", adapter="other", name="elsewhere")))).work()
    assert lines == ["failed a cannot_change!", "gave up 2, left previous"]


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
    lines = story.ask(allowed(2, steps, size=2)).work()
    assert lines[:2] == ["create a", "done a"]
    assert "remove a" not in lines
    assert "orders-a" in story.things
