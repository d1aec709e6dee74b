"""Stuck operations: the newest attempt answers whatever joins them, and gives the reason."""

from dataclasses import replace
from datetime import timedelta

import pytest

from busbar.backends.port import Call, Observation, Outcome, Presence
from busbar.messages.base import OperationFact
from busbar.messages.policy import IntentAllowed
from busbar.messages.resource import ResourceFailed, ResourceStuck
from busbar.messages.views import evolve_operation, evolve_resource
from busbar.testing.memory import MemoryBackend, Refuse
from support.metrics import counted
from unit.provisioner.ledger import Platform
from unit.provisioner.scenario import NOW, Inputs, Story, allowed, plan, provisioned, refused

HANGS = Outcome.unknown("timeout", "no answer")
THEIRS: tuple[str, Inputs] = ("them", {})
AGAIN = allowed(3, action="delete")


def in_the_way() -> Story:
    """A story whose deletion is stuck, as the thing belongs to another party."""
    story = provisioned("a").ask(allowed(2, action="delete"))
    story.things["orders-a"] = THEIRS
    assert story.work() == ["stuck a not_ours"]
    return story


def status(facts: list[OperationFact], asked: IntentAllowed) -> str:
    """The status that the operation of ``asked`` is shown with."""
    view = None
    for fact in facts:
        if fact.operation == asked.operation:
            view = evolve_operation(view, fact, time="t")
    assert view is not None
    return view.status


# -- joining --------------------------------------------------------------------------------------


def test_a_deletion_that_joins_a_stuck_one_runs_until_it_was_tried_and_ends_with_it() -> None:
    story = in_the_way()
    story.ask(AGAIN)
    assert status(story.facts, AGAIN) == "running"
    del story.things["orders-a"]
    assert story.work() == ["absent a", "deleted 2", "deleted 3"]


def test_a_deletion_that_joins_a_stuck_one_is_stuck_as_well_once_it_was_tried() -> None:
    story = in_the_way().ask(AGAIN)
    before = len(story.facts)
    assert story.work() == ["stuck a not_ours"]
    assert story.facts[before].operation == AGAIN.operation
    assert status(story.facts, AGAIN) == "stuck"


@pytest.mark.parametrize(
    "answer",
    [refused(), refused(permanent=False), Outcome.not_done("unavailable", "away", permanent=False)],
    ids=["for good", "for now", "unavailable"],
)
def test_any_failure_of_that_attempt_answers_what_joined(answer: Outcome) -> None:
    story = provisioned("a").ask(allowed(2, action="delete"))
    story.answers["orders-a"] = [refused(), answer]
    story.turn()
    story.ask(AGAIN).turn()
    assert status(story.facts, AGAIN) == "stuck"


def test_a_call_that_is_not_confirmed_answers_what_joined() -> None:
    """An earlier create may still be carried out, so that the backend has to confirm a removal."""
    story = Story(late=timedelta(seconds=20)).ask(allowed(1, plan("a")))
    story.answers["orders-a"] = [HANGS]
    assert story.work()[-1] == "created 1"
    story.ask(allowed(2, action="delete"))
    story.things["orders-a"] = THEIRS
    assert story.work() == ["stuck a not_ours"]
    del story.things["orders-a"]
    story.answers["orders-a"] = [HANGS]
    assert story.ask(AGAIN).turn() == ["remove a"]
    story.epoch -= 1  # the lease has not ended yet
    story.turn()
    assert status(story.facts, AGAIN) == "stuck"


def test_as_soon_as_an_attempt_fails_what_is_stuck_gives_way_to_what_waits_behind_it() -> None:
    """Also where it failed for now: the next attempt may be a day away."""
    story = provisioned("a").ask(allowed(2, action="delete"))
    story.answers["orders-a"] = [refused(), refused(permanent=False)]
    story.turn()
    story.ask(allowed(3, plan("a"), size=2))
    assert story.turn() == ["remove a", "failed a refused", "superseded"]


def about(platform: Platform, asked: IntentAllowed) -> list[str]:
    """The types of the facts about the operation of ``asked``."""
    facts = platform.ledger.messages
    return [fact.TYPE for fact in facts if getattr(fact, "operation", None) == asked.operation]


@pytest.mark.parametrize("under_way", ["look", "call"])
async def test_a_deletion_waits_for_the_attempt_that_it_causes_not_for_one_under_way(
    under_way: str,
) -> None:
    platform = Platform()
    await platform.ask(allowed(1, plan("a")))
    await platform.settle()
    await platform.ask(allowed(2, action="delete"))
    if under_way == "look":
        platform.world.create_foreign("orders-a", {})
    platform.world.refused["orders-a"] = Refuse(permanent=True)
    assert (await platform.settle())[-1].split()[0] in {"stuck", "failed"}

    async def asks() -> None:
        await platform.ask(AGAIN)

    async def asks_next() -> None:
        platform.backend.meanwhile = asks

    platform.backend.meanwhile = asks if under_way == "look" else asks_next
    await platform.provisioner.run(platform.ledger.work())
    assert about(platform, AGAIN) == ["busbar.resource.queued.v1"]
    assert platform.ledger.due == platform.clock.now()
    platform.world.refused.clear()
    if under_way == "look":
        del platform.world.things["orders-a"]
    await platform.settle()
    assert about(platform, AGAIN) == ["busbar.resource.queued.v1", "busbar.resource.deleted.v1"]


# -- for which reason -----------------------------------------------------------------------------


def because(detail: str) -> Outcome:
    """A refusal for good."""
    return Outcome.not_done("refused", detail, permanent=True)


def stuck_for(story: Story, asked: IntentAllowed) -> list[str]:
    """The details of the facts that the operation of ``asked`` is stuck."""
    found = [fact for fact in story.facts if isinstance(fact, ResourceStuck)]
    return [fact.detail for fact in found if fact.operation == asked.operation]


def test_that_it_is_stuck_is_recorded_once_for_each_reason_and_since_the_first() -> None:
    first = allowed(2, action="delete")
    story = provisioned("a").ask(first)
    reasons = ["a table", "a table", "a privilege", "a privilege", "a table"]
    story.answers["orders-a"] = [because(detail) for detail in reasons]
    story.turn()
    story.ask(AGAIN)
    for _ in reasons[1:]:
        story.time += timedelta(hours=1)
        story.turn()
    assert stuck_for(story, first) == ["a table", "a privilege", "a table"]
    assert stuck_for(story, AGAIN) == ["a table", "a privilege", "a table"]
    assert {fact.since for fact in story.facts if isinstance(fact, ResourceStuck)} == {NOW}


def test_an_attempt_that_fails_for_now_gives_the_newest_reason_as_well() -> None:
    story = provisioned("a").ask(allowed(2, action="delete"))
    away = Outcome.not_done("unavailable", "it does not answer", permanent=False)
    story.answers["orders-a"] = [because("a table"), away, away]
    for _ in range(3):
        story.turn()
    assert stuck_for(story, allowed(2)) == ["a table", "it does not answer"]


def test_the_views_show_the_newest_reason() -> None:
    story = provisioned("a").ask(allowed(2, action="delete"))
    story.answers["orders-a"] = [because("a table"), because("a privilege")]
    story.turn()
    story.turn()
    operation = resource = None
    for fact in story.facts:
        operation = evolve_operation(operation, fact, time="t")
        resource = evolve_resource(resource, fact, time="t")
    assert operation is not None
    assert resource is not None
    shown = ("stuck", "a privilege")
    assert (operation.status, operation.detail) == shown
    assert (resource.status, resource.detail) == shown


def test_what_is_abandoned_ends_with_the_newest_reason() -> None:
    story = provisioned("a").ask(allowed(2, action="delete"))
    story.answers["orders-a"] = [because("a table"), because("a privilege")]
    story.turn()
    story.turn()
    story.intervene("abandon", 2).work()
    ended = story.facts[-1]
    assert isinstance(ended, ResourceFailed)
    assert ended.detail == "a privilege"


class Fickle(MemoryBackend):
    """Says something else about a foreign thing at every look."""

    looks = 0

    async def observe(self, call: Call) -> Observation:
        self.looks += 1
        seen = await super().observe(call)
        return replace(seen, presence=Presence.FOREIGN, detail=f"seen {self.looks} times")


async def test_a_reason_that_changes_at_every_look_is_counted_once_and_waited_for() -> None:
    platform = Platform()
    await platform.ask(allowed(1, plan("a")))
    await platform.settle()
    await platform.ask(allowed(2, action="delete"))
    platform.backend.inner = backend = Fickle(world=platform.world)
    name = "busbar_provisioner_operations_total"
    before = counted(name, outcome="stuck")
    await platform.settle()
    assert platform.tale().count("stuck a not_ours") == backend.looks == 3
    assert counted(name, outcome="stuck") == before + 1


# -- left without being observed ------------------------------------------------------------------


async def test_what_cannot_be_observed_when_it_is_left_stays_listed_until_someone_looks() -> None:
    platform = Platform()
    platform.world.refused["orders-b"] = Refuse()
    await platform.ask(allowed(1, plan("a", "b")))
    await platform.provisioner.run(platform.ledger.work())
    assert list(platform.things()) == ["orders-a"]

    platform.world.unavailable = True
    await platform.ask(allowed(2, plan("a")))
    await platform.settle(leases=400)

    # The first operation gave way to the second, which did not get as far as to b.
    first, second = [m for m in platform.ledger.messages if isinstance(m, ResourceFailed)]
    assert {one.step: one.presence for one in first.remains} == {"b": "unknown", "a": "unknown"}
    assert "b exists (name=orders-b, size=1, as far as is known)" in first.what_is_left
    assert second.left == "previous"
    state = platform.ledger.state()
    assert [one.name for one in state.applied] == ["a", "b"]
    assert list(platform.things()) == ["orders-a"]

    platform.world.unavailable = False
    await platform.ask(allowed(3, plan("a")))
    assert (await platform.settle())[-1] == "updated 3"
    assert [one.name for one in platform.ledger.state().applied] == ["a"]
    assert list(platform.things()) == ["orders-a"]
