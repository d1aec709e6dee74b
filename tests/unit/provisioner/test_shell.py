"""The shell: every backend call twice, every step failing, a death at every await."""

import pytest

from busbar.kernel.errors import Fenced
from busbar.messages.policy import IntentAllowed
from busbar.messages.resource import StepFailed
from busbar.provisioner.domain.decisions import ATTEMPTS, ATTEMPTS_UNAVAILABLE
from busbar.provisioner.telemetry import STUCK
from busbar.testing.memory import Fault, LoseAnswer, LoseRequest, Refuse
from unit.provisioner.ledger import Platform
from unit.provisioner.scenario import RESOURCE, allowed, plan, step

STEPS = ("a", "b", "c")
REFUSE = Refuse(permanent=True)

CREATE = (allowed(1, plan(*STEPS)),)
UPDATE = (*CREATE, allowed(2, plan("b", "c", "d"), size=2))
DELETE = (*CREATE, allowed(2, action="delete"))
LIVES = {"create": CREATE, "update": UPDATE, "delete": DELETE}


def owned(*names: str, size: int = 1) -> dict[str, tuple[str | None, dict[str, object]]]:
    """The things of steps called ``names``."""
    return {
        f"orders-{name}": (f"{RESOURCE}#{name}", {"name": f"orders-{name}", "size": size})
        for name in names
    }


EXPECTED = {"create": owned(*STEPS), "update": owned("b", "c", "d", size=2), "delete": owned()}


@pytest.fixture(params=LIVES)
def life(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def began(life: str, *, repeat: bool = False) -> Platform:
    """A platform where everything but the last intent of ``life`` is done."""
    platform = Platform(repeat=repeat)
    *before, last = LIVES[life]
    await platform.ask(*before)
    await platform.settle()
    await platform.ask(last)
    return platform


async def test_every_call_can_be_repeated(life: str) -> None:
    platform = await began(life, repeat=True)
    once = await began(life)
    assert await platform.settle() == await once.settle()
    assert platform.things() == once.things() == EXPECTED[life]
    assert platform.world.effects == once.world.effects


@pytest.mark.parametrize("failing", STEPS)
async def test_a_creation_that_fails_at_any_step_leaves_nothing(failing: str) -> None:
    platform = await began("create")
    platform.world.refused[f"orders-{failing}"] = REFUSE
    lines = await platform.settle()
    assert lines[-1] == "gave up 1, left absent"
    assert platform.things() == {}
    failed = [fact for fact in platform.ledger.messages if isinstance(fact, StepFailed)]
    assert [(fact.step, fact.reason, fact.permanent) for fact in failed] == [
        (failing, "refused", True)
    ]


@pytest.mark.parametrize("failing", ["b", "c", "d"])
async def test_an_update_that_fails_at_any_step_leaves_what_was(failing: str) -> None:
    platform = await began("update")
    platform.world.refused[f"orders-{failing}"] = REFUSE
    lines = await platform.settle()
    assert lines[-1] == "gave up 2, left previous"
    assert platform.things() == owned(*STEPS)
    assert platform.ledger.state().generation == 1


@pytest.mark.parametrize("failing", STEPS)
async def test_a_deletion_that_is_refused_is_stuck_and_goes_on_once_it_can(failing: str) -> None:
    platform = await began("delete")
    platform.world.refused[f"orders-{failing}"] = REFUSE
    lines = await platform.settle()
    assert [word for word in lines if word.startswith("stuck")] == [f"stuck {failing} refused"]
    assert list(platform.ledger.documents) == [(STUCK, RESOURCE)]  # what the gauge counts
    platform.world.refused.clear()
    assert (await platform.settle())[-1] == "deleted 2"
    assert platform.things() == {}
    assert platform.ledger.documents == {}


@pytest.mark.parametrize("fault", [LoseAnswer(), LoseRequest(), Refuse()], ids=repr)
@pytest.mark.parametrize("at", range(3))
async def test_a_fault_at_any_change_is_got_over(life: str, at: int, fault: Fault) -> None:
    quiet = await began(life)
    ending = (await quiet.settle())[-1]
    platform = await began(life)
    platform.backend.faults = {platform.backend.acted + at: fault}
    assert (await platform.settle())[-1] == ending
    assert platform.things() == EXPECTED[life]
    assert platform.effects() == quiet.effects()


async def test_a_death_at_every_await_changes_nothing_about_the_end(life: str) -> None:
    quiet = await began(life)
    ending = (await quiet.settle())[-1]
    stop = 0
    died = True
    while died:
        stop += 1
        platform = await began(life)
        died = await platform.work_until(stop)
        lines = await platform.settle()
        assert lines[-1] == ending, (stop, lines)
        assert platform.things() == EXPECTED[life], (stop, lines)
        assert platform.effects() == quiet.effects(), (stop, lines)
        assert set(platform.ends_per_operation().values()) == {1}
    assert stop > 30


async def test_two_deaths_at_any_two_awaits_of_a_failing_update_leave_what_was() -> None:
    for first in range(1, 150, 7):
        for second in range(1, 60, 9):
            platform = await began("update")
            platform.world.refused["orders-d"] = REFUSE
            await platform.work_until(first)
            await platform.work_until(second)
            lines = await platform.settle()
            assert lines[-1] == "gave up 2, left previous", (first, second, lines)
            assert platform.things() == owned(*STEPS), (first, second, lines)
            assert set(platform.ends_per_operation().values()) == {1}


async def test_a_lease_that_is_over_can_record_nothing(life: str) -> None:
    platform = await began(life)
    stale = platform.ledger.work()
    platform.ledger.work()
    before = list(platform.ledger.messages)
    with pytest.raises(Fenced):
        await platform.provisioner.run(stale)
    assert platform.ledger.messages == before
    assert platform.world.effects == (await began(life)).world.effects


async def test_an_unreachable_world_is_waited_for() -> None:
    platform = await began("create")
    platform.world.unavailable = True
    await platform.provisioner.run(platform.ledger.work())
    assert platform.tale()[-1] == "failed a unavailable"
    platform.world.unavailable = False
    assert (await platform.settle())[-1] == "created 1"


async def test_a_world_that_stays_away_fails_the_operation_untouched() -> None:
    platform = await began("create")
    platform.world.unavailable = True
    lines = await platform.settle()
    assert lines[1:] == [
        *["failed a unavailable"] * (ATTEMPTS_UNAVAILABLE - 1),
        "failed a unavailable!",
        "gave up 1, left absent",
    ]
    assert platform.world.effects == []


async def test_an_unreachable_world_is_given_minutes() -> None:
    platform = await began("create")
    platform.world.unavailable = True
    began_at = platform.clock.now()
    await platform.settle()
    assert (platform.clock.now() - began_at).total_seconds() > 120


async def test_waits_grow_from_try_to_try() -> None:
    platform = await began("create")
    platform.world.unavailable = True
    waits = []
    for _ in range(ATTEMPTS - 1):
        await platform.provisioner.run(platform.ledger.work())
        assert platform.ledger.due is not None
        waits.append((platform.ledger.due - platform.clock.now()).total_seconds())
    assert waits == sorted(set(waits))
    assert waits[0] <= 1


async def test_a_stuck_operation_is_looked_at_every_minute_and_holds_no_worker() -> None:
    platform = await began("delete")
    platform.world.create_foreign("orders-c", {"size": 9})
    await platform.provisioner.run(platform.ledger.work())
    assert platform.tale()[-1] == "stuck c not_ours"
    assert platform.ledger.due is not None
    assert (platform.ledger.due - platform.clock.now()).total_seconds() == 60
    lines = platform.tale()
    await platform.settle()
    assert platform.tale() == lines
    del platform.world.things["orders-c"]
    platform.ledger.due = platform.clock.now()
    assert (await platform.settle())[-1] == "deleted 2"


async def test_a_thing_that_takes_its_time_is_waited_for() -> None:
    platform = await began("create")
    platform.world.ready_after = 3
    assert (await platform.settle())[-1] == "created 1"
    assert platform.ledger.epoch == 1
    assert 0 < sum(platform.clock.slept) < 10


async def test_a_thing_that_takes_too_long_fails_and_is_removed() -> None:
    platform = await began("create")
    platform.world.ready_after = 1000
    lines = await platform.settle()
    assert lines[2:] == ["failed a not_ready!", "remove a", "gone a", "gave up 1, left absent"]
    assert 1 < sum(platform.clock.slept) < 2


async def test_each_operation_has_the_whole_time_to_become_ready() -> None:
    """The second update follows in the same lease; its clock must not have begun with the first."""
    platform = Platform()
    platform.world.ready_after = 4
    await platform.ask(*[allowed(n, plan("a"), size=n) for n in range(1, 5)])
    lines = await platform.settle()
    assert [word for word in lines if word.startswith("failed")] == []
    assert lines[-1] == "updated 4"


async def test_a_step_that_is_taken_back_has_the_whole_time_again() -> None:
    platform = Platform()
    await platform.ask(allowed(1, plan("a")))
    await platform.settle()
    platform.world.ready_after = 7
    await platform.ask(allowed(2, plan("a"), size=2))
    lines = await platform.settle()
    assert "failed a not_ready!" in lines
    assert lines[-1] == "gave up 2, left previous"
    assert not [word for word in lines if word.startswith("stuck")]


async def test_without_the_adapter_the_operation_fails_and_says_what_to_install() -> None:
    platform = Platform()
    await platform.ask(allowed(1, plan("a", step("b", adapter="nowhere"))))
    lines = await platform.settle()
    assert lines[-4:] == ["failed b no_adapter!", "remove a", "gone a", "gave up 1, left absent"]
    failed = next(f for f in platform.ledger.messages if isinstance(f, StepFailed))
    assert "nowhere" in failed.detail
    assert "install" in failed.detail


async def test_an_intent_taken_over_twice_is_one_operation() -> None:
    platform = Platform()
    asked: IntentAllowed = allowed(1, plan("a"))
    await platform.ask(asked, asked)
    await platform.settle()
    await platform.ask(asked)
    await platform.settle()
    assert platform.tale() == ["queued 1", "create a", "done a", "created 1"]


async def test_nothing_is_due_when_everything_is_done(life: str) -> None:
    platform = await began(life)
    await platform.settle()
    assert platform.ledger.due is None
    before = platform.tale()
    await platform.provisioner.run(platform.ledger.work())
    assert platform.tale() == before
    assert platform.ledger.due is None


async def test_an_update_that_names_another_thing_leaves_the_first_and_makes_none() -> None:
    platform = Platform()
    await platform.ask(allowed(1, plan("a")))
    await platform.settle()
    await platform.ask(allowed(2, plan(step("a", name="elsewhere"))))
    lines = await platform.settle()
    assert lines[-2:] == ["failed a cannot_change!", "gave up 2, left previous"]
    assert platform.things() == owned("a")


async def test_where_the_first_thing_is_gone_another_can_be_made() -> None:
    platform = Platform()
    await platform.ask(allowed(1, plan("a")))
    await platform.settle()
    platform.world.things.clear()
    await platform.ask(allowed(2, plan(step("a", name="elsewhere"))))
    assert (await platform.settle())[-1] == "updated 2"
    assert set(platform.things()) == {"elsewhere"}
