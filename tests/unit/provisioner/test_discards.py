"""A decision that could not be begun, and is discarded, ends its operation."""

from pathlib import Path
from uuid import UUID

import pytest

from busbar.messages.intervention import Intervened, InterventionAllowed
from busbar.messages.narrative import narrate
from busbar.messages.policy import IntentAllowed
from busbar.messages.resource import ResourceFailed
from busbar.messages.views import evolve_operation, evolve_resource
from busbar.provisioner.domain.discards import DiscardedDecision, decide_discarded
from busbar.provisioner.handlers import Provisioner
from busbar.testing import ManualClock
from support.discards import Discarding
from support.personal import no_personal_data
from support.runtime import record
from unit.provisioner.scenario import RESOURCE, Story, allowed, intervention, plan, provisioned

BY = UUID("11111111-1111-5111-8111-111111111111")


def discarded(story: Story, decision: IntentAllowed | InterventionAllowed) -> list[object]:
    about = DiscardedDecision.model_validate(decision.model_dump(mode="json"))
    facts = decide_discarded(story.state, about, by=BY)
    story.record(*facts)
    return list(facts)


def test_without_anything_before_nothing_of_it_is_left() -> None:
    story = Story()
    (fact,) = discarded(story, allowed(1, plan("a")))
    assert isinstance(fact, ResourceFailed)
    assert (fact.operation, fact.generation) == (allowed(1).operation, 1)
    assert (fact.reason, fact.left, fact.remains, fact.failed_step) == (
        "discarded",
        "absent",
        (),
        None,
    )
    assert str(BY) in fact.detail
    assert narrate(fact) == "It failed (discarded): nothing of it is left."
    view = evolve_operation(None, fact, time="t")
    assert view is not None
    assert (view.status, view.reason) == ("failed", "discarded")


def test_what_was_there_before_stays_and_is_named() -> None:
    story = provisioned("a")
    (fact,) = discarded(story, allowed(2, plan("a", "b")))
    assert isinstance(fact, ResourceFailed)
    assert (fact.left, fact.observed_generation) == ("previous", 1)
    assert [one.name for one in story.state.applied] == ["a"]
    view = evolve_resource(None, fact, time="t")
    assert view is not None
    assert view.pending == ()
    assert story.ask(allowed(3, plan("a", "b"))).work()[-1] == "updated 3"


def test_an_operation_that_was_queued_after_all_goes_on() -> None:
    story = Story().ask(allowed(1, plan("a")))
    assert discarded(story, allowed(1, plan("a"))) == []
    assert story.work()[-1] == "created 1"
    assert discarded(story, allowed(1, plan("a"))) == []


def test_a_discarded_operation_is_never_begun_later() -> None:
    story = Story()
    discarded(story, allowed(1, plan("a")))
    assert story.ask(allowed(1, plan("a"))).work() == []
    assert story.things == {}


@pytest.mark.parametrize("action", ["retry", "abandon"])
def test_an_intervention_that_is_discarded_changes_nothing_and_says_so(action: str) -> None:
    story = Story().ask(allowed(1, plan("a")))
    decision = intervention("retry" if action == "retry" else "abandon", 1)
    (fact,) = discarded(story, decision)
    assert isinstance(fact, Intervened)
    assert (fact.operation, fact.action, fact.done) == (decision.operation, action, False)
    assert story.work()[-1] == "created 1"


def test_a_release_that_is_discarded_forgets_nothing() -> None:
    story = provisioned("a")
    (fact,) = discarded(story, intervention("release"))
    assert isinstance(fact, ResourceFailed)
    assert (fact.left, fact.generation) == ("previous", 1)
    assert [one.name for one in story.state.applied] == ["a"]


class _Nothing:
    """No adapters."""

    def find(self, name: str) -> None:
        """There is none."""


async def test_the_service_ends_the_operation_of_a_decision_that_is_discarded(
    tmp_path: Path,
) -> None:
    service = Provisioner(_Nothing(), no_personal_data(), clock=ManualClock(), lease=5).service()
    bench = await Discarding.of(service, tmp_path)
    decision = allowed(1, plan("a"))
    data = decision.model_dump(mode="json")
    kept = record(0, data, type_=decision.TYPE, topic=decision.TOPIC, key=RESOURCE)
    (fact,), outcome = await bench.discarded(kept)
    assert isinstance(fact, ResourceFailed)
    assert fact.operation == outcome.ended == decision.operation
    await bench.store.close()


async def test_a_decision_of_an_unknown_version_can_be_discarded_as_well(tmp_path: Path) -> None:
    service = Provisioner(_Nothing(), no_personal_data(), clock=ManualClock(), lease=5).service()
    bench = await Discarding.of(service, tmp_path)
    decision = allowed(1, plan("a"))
    data = {**decision.model_dump(mode="json"), "plan": "of another kind"}
    kept = record(0, data, type_=IntentAllowed.TYPE[:-1] + "2", topic=decision.TOPIC, key=RESOURCE)
    (fact,), outcome = await bench.discarded(kept)
    assert isinstance(fact, ResourceFailed)
    assert outcome.ended == decision.operation
    await bench.store.close()
