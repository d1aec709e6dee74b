"""A person retries an operation, abandons it, or releases its resource."""

import pytest

from busbar.messages.intervention import Intervened, ResourceReleased
from busbar.messages.narrative import narrate
from busbar.messages.resource import ResourceDeleted, ResourceFailed, ResourceStuck
from busbar.messages.views import evolve_operation
from busbar.provisioner.domain import ResourceState
from unit.provisioner.ledger import Platform
from unit.provisioner.scenario import Story, allowed, intervention, plan, provisioned, refused, tale


def stuck() -> Story:
    """A story whose deletion is stuck at its second step."""
    story = provisioned("a", "b", "c").ask(allowed(2, action="delete"))
    for _ in range(2):
        story.turn()
    story.answers["orders-b"] = [refused()]
    assert story.turn()[-1] == "stuck b refused"
    story.facts.clear()
    return story


def test_a_retried_operation_is_tried_from_the_first_attempt_and_reported_again() -> None:
    story = stuck().intervene("retry", 2)
    assert tale(story.facts) == ["retry: it is tried again now"]
    story.answers["orders-b"] = [refused()]
    assert story.turn() == ["remove b", "failed b refused", "stuck b refused"]
    assert story.intervene("retry", 2, id_="again").work()[-1] == "deleted 2"
    assert story.things == {}


def test_an_abandoned_operation_ends_as_failed_and_says_what_is_there() -> None:
    story = stuck().intervene("abandon", 2)
    assert tale(story.facts) == ["abandoned", "abandon: it ends as failed; what exists stays"]
    assert story.work() == ["left b ours", "left a ours", "gave up 2, left partial"]
    ended = story.facts[-1]
    assert isinstance(ended, ResourceFailed)
    assert [one.step for one in ended.remains] == ["b", "a"]
    assert (ended.reason, ended.failed_step) == ("refused", "b")
    assert story.ask(allowed(3, action="delete")).work()[-1] == "deleted 3"
    assert story.things == {}


def test_abandoning_a_deletion_does_not_say_that_a_foreign_thing_is_gone_or_was_undone() -> None:
    story = provisioned("a").ask(allowed(2, action="delete"))
    story.things["orders-a"] = ("them", {})
    assert story.turn() == ["stuck a not_ours"]
    assert story.intervene("abandon", 2).work()[-2:] == ["left a foreign", "gave up 2, left absent"]
    ended = story.facts[-1]
    sentence = "It failed at step a and was not undone: a belongs to another owner."
    assert narrate(ended) == sentence
    view = evolve_operation(None, ended, time="2026-01-31T12:00:00Z")
    assert view is not None
    assert view.detail.endswith("; now a belongs to another owner")


def test_another_name_is_advised_where_one_is_chosen_and_not_for_a_deletion() -> None:
    applied = Story().ask(allowed(1, plan("a")))
    applied.things["orders-a"] = ("them", {})
    applied.work()
    failed = applied.facts[-1]
    assert isinstance(failed, ResourceFailed)
    assert failed.detail.endswith("; choose another name, or remove or adopt it")
    deleted = provisioned("a").ask(allowed(2, action="delete"))
    deleted.things["orders-a"] = ("them", {})
    deleted.turn()
    stuck_ = deleted.facts[-1]
    assert isinstance(stuck_, ResourceStuck)
    assert "choose another name" not in stuck_.detail


def test_a_second_deletion_says_that_there_was_nothing_to_delete() -> None:
    story = provisioned("a").ask(allowed(2, action="delete"))
    story.work()
    story.ask(allowed(3, action="delete")).work()
    ends = [one for one in story.facts if isinstance(one, ResourceDeleted)]
    assert [one.existed for one in ends] == [True, False]


def test_only_what_was_undone_is_called_so() -> None:
    nothing_done = Story().ask(allowed(1, plan("a")))
    nothing_done.answers["orders-a"] = [refused()]
    nothing_done.work()
    assert narrate(nothing_done.facts[-1]) == "It failed at step a: nothing of it is left."
    undone = Story().ask(allowed(1, plan("a", "b")))
    undone.answers["orders-b"] = [refused()]
    undone.work()
    sentence = "It failed at step b and was undone: nothing of it is left."
    assert narrate(undone.facts[-1]) == sentence


def test_an_operation_can_be_abandoned_while_it_runs() -> None:
    story = Story().ask(allowed(1, plan("a", "b")))
    for _ in range(2):
        story.turn()
    lines = story.intervene("abandon", 1).work()
    assert lines == ["left a ours", "gave up 1, left partial"]
    ended = story.facts[-1]
    assert isinstance(ended, ResourceFailed)
    assert (ended.reason, ended.failed_step) == ("abandoned", None)


def test_an_operation_that_waits_can_be_abandoned_and_never_begins() -> None:
    story = Story().ask(allowed(1, plan("a")), allowed(2, plan("a"), size=2))
    story.intervene("abandon", 2)
    assert tale(story.facts)[2:4] == [
        "gave up 2, left absent",
        "abandon: it ends as failed; what exists stays",
    ]
    assert story.work() == ["create a", "done a", "created 1"]


def test_an_operation_that_joined_can_be_abandoned_alone() -> None:
    story = provisioned("a").ask(allowed(2, action="delete"), allowed(3, action="delete"))
    story.intervene("abandon", 3)
    assert story.work()[-1] == "deleted 2"
    assert story.state.joined == ()


@pytest.mark.parametrize("action", ["retry", "abandon"])
@pytest.mark.parametrize(
    ("target", "detail"),
    [(1, "it has ended already"), (9, "it is not an operation of this resource")],
)
def test_what_does_not_run_is_neither_retried_nor_abandoned(
    action: str, target: int, detail: str
) -> None:
    story = stuck()
    state = story.state
    story.intervene("retry" if action == "retry" else "abandon", target)
    (fact,) = story.facts
    assert isinstance(fact, Intervened)
    assert (fact.done, fact.detail) == (False, detail)
    assert story.state.saga == state.saga


def test_a_retry_of_what_joined_a_stuck_operation_retries_that_one() -> None:
    story = stuck().ask(allowed(3, action="delete")).intervene("retry", 3)
    assert tale(story.facts)[-1] == "retry: it is tried again now"
    assert story.work()[-2:] == ["deleted 2", "deleted 3"]


def test_what_waits_is_not_retried() -> None:
    story = Story().ask(allowed(1, plan("a")), allowed(2, plan("a"), size=2)).intervene("retry", 2)
    fact = story.facts[-1]
    assert isinstance(fact, Intervened)
    assert not fact.done


def test_an_intervention_is_carried_out_once() -> None:
    story = stuck().intervene("retry", 2)
    before = len(story.facts)
    story.intervene("retry", 2)
    assert len(story.facts) == before


def test_a_released_resource_is_forgotten_and_nothing_is_removed() -> None:
    story = stuck().ask(allowed(3, action="delete"), allowed(4, plan("a")))
    story.facts.clear()
    things = dict(story.things)
    story.intervene("release")
    assert tale(story.facts) == [
        "gave up 2, left partial",
        "gave up 4, left partial",
        "gave up 3, left partial",
        "released",
    ]
    released = story.facts[-1]
    assert isinstance(released, ResourceReleased)
    assert {one.step for one in released.remains} == {"a", "b"}
    assert story.work() == []
    assert story.things == things
    assert story.state == ResourceState(generation=1, ended=story.state.ended)


def test_a_released_resource_can_be_applied_again_and_takes_over_what_is_there() -> None:
    story = provisioned("a", "b").intervene("release")
    assert story.ask(allowed(2, plan("a", "b"))).work() == ["kept a", "kept b", "created 2"]


async def test_an_intervention_during_a_call_is_not_overwritten_by_its_answer() -> None:
    """The call is under way when the release comes: its answer must not be recorded any more."""
    quiet = Platform()
    await quiet.ask(allowed(1, plan("a", "b")))
    await quiet.settle()
    for action in ("release", "abandon"):
        for stop in range(1, 60):
            platform = Platform()
            await platform.ask(allowed(1, plan("a", "b")))
            died = await platform.work_until(stop)
            target = None if action == "release" else 1
            await platform.intervene(
                intervention("release" if action == "release" else "abandon", target)
            )
            await platform.settle()
            assert set(platform.ends_per_operation().values()) == {1}, (action, stop)
            assert platform.ledger.due is None
            if not died:
                break
