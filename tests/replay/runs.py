"""The runs that are recorded: what is asked of the platform, and what goes wrong meanwhile."""

from uuid import UUID

from busbar.messages.delivery import DiscardDeadLetter, RedriveDeadLetter
from busbar.messages.intervention import AbandonOperation, ReleaseResource, RetryOperation
from busbar.messages.notification import DeleteSubscription, ResendDeliveries, SendTestEvent
from busbar.messages.resource import ApplyResource
from busbar.testing.memory import LoseAnswer, LoseRequest, Refuse
from faults.loop import wait
from faults.names import STRANGER, THING
from replay.stage import Script, Stage

MINUTE = 60.0

RUNS: dict[str, Script] = {}


def _run(script: Script) -> Script:
    RUNS[script.__name__.replace("_", "-")] = script
    return script


@_run
async def succeeded(stage: Stage) -> None:
    """A resource is made and a webhook says so; asked for again, nothing changes."""
    await stage.subscribe()
    await stage.apply(size=1)
    await stage.apply(size=1)


@_run
async def updated(stage: Stage) -> None:
    """A resource gets another size, another set of steps, and its first form again."""
    await stage.apply(size=1)
    await stage.apply(size=2)
    await stage.apply(size=2, late=True, early=False)
    await wait(MINUTE)
    await stage.apply(size=3)


@_run
async def deleted(stage: Stage) -> None:
    """A resource is made, deleted, deleted once more, made again in vain, and made again."""
    await stage.apply(size=1)
    await stage.delete()
    await stage.delete()
    stage.outside.world.refused["orders-b"] = Refuse(permanent=True)
    await stage.apply(size=2)
    stage.outside.world.refused.clear()
    await stage.apply(size=2)


@_run
async def denied(stage: Stage) -> None:
    """Intents are denied: for the spec, the promise, the generation, the type, the form."""
    await stage.apply(size="large")
    await stage.apply(size=1, generation=7)
    await stage.ask(ApplyResource.model_validate({**THING, "promise": "other", "spec": {}}))
    await stage.publish({"team": "payments"}, ApplyResource)
    await stage.apply(size=1)
    await stage.apply(size=2, generation=0)
    await stage.apply(size=2, generation=1)


@_run
async def expired_and_conflicted(stage: Stage) -> None:
    """One intent comes too late, another twice with different bodies."""
    intent = ApplyResource.model_validate({**THING, "spec": {"size": 1}})
    await stage.ask(intent, expirytime="2025-12-31T00:00:00Z")
    await stage.apply(id_="twice", size=1)
    await stage.publish({**THING, "spec": {"size": 2}}, ApplyResource, id_="twice")
    await stage.publish({**THING, "spec": {"size": 3}}, ApplyResource, id_="twice")


@_run
async def compensated(stage: Stage) -> None:
    """The second step is refused for good, so the first is undone; later it works."""
    await stage.subscribe()
    stage.outside.world.refused["orders-b"] = Refuse(permanent=True)
    await stage.apply(size=1)
    stage.outside.world.refused.clear()
    await stage.apply(size=1)


@_run
async def restored(stage: Stage) -> None:
    """An update is refused halfway, so that what was there before is put back."""
    await stage.apply(size=1)
    stage.outside.world.refused["orders-b"] = Refuse(permanent=True)
    await stage.apply(size=2)
    stage.outside.world.refused.clear()
    await stage.apply(size=3)


@_run
async def occupied(stage: Stage) -> None:
    """The name of the second step is taken by a stranger."""
    world = stage.outside.world
    world.create_foreign("orders-b", {"name": "orders-b", "size": 9}, owner=STRANGER)
    await stage.apply(size=1)
    del world.things["orders-b"]
    await stage.apply(size=1)


@_run
async def retried(stage: Stage) -> None:
    """Requests and answers are lost, and observations fail, until it works."""
    stage.outside.world.fail(Refuse(), LoseRequest(), LoseAnswer(), Refuse())
    stage.outside.silences = 2
    stage.outside.world.ready_after = 2
    await stage.apply(size=1)
    await wait(MINUTE)
    stage.outside.world.fail(LoseAnswer())
    await stage.delete()
    await wait(MINUTE)


@_run
async def stuck(stage: Stage) -> None:
    """An undo is refused for good, and a deletion is stuck until a person helps."""
    world = stage.outside.world
    world.refused["orders-b"] = Refuse(permanent=True)
    stage.outside.seconds = 1.0
    asking = stage.loop.create_task(stage.apply(size=1))
    while "orders-a" not in world.things:
        await wait(0.1)
    world.refused["orders-a"] = Refuse(permanent=True)
    await asking
    await wait(10 * MINUTE)
    world.refused.clear()
    await wait(90 * MINUTE)
    await stage.apply(size=1)
    world.refused["orders-a"] = Refuse(permanent=True)
    await stage.delete()
    await wait(10 * MINUTE)
    world.refused.clear()
    await wait(90 * MINUTE)


@_run
async def left(stage: Stage) -> None:
    """An undo is refused for good, so that a part is left; the next update begins there."""
    world = stage.outside.world
    await stage.apply(size=1)
    world.refused["orders-b"] = Refuse(permanent=True)
    stage.outside.seconds = 1.0
    asking = stage.loop.create_task(stage.apply(size=2))
    while world.things["orders-a"].inputs["size"] != 2:
        await wait(0.1)
    world.refused["orders-a"] = Refuse(permanent=True)
    await asking
    world.refused.clear()
    await stage.apply(size=2)


@_run
async def intervened(stage: Stage) -> None:
    """A stuck deletion is joined, retried, abandoned and asked for again; later all is released."""
    world = stage.outside.world
    await stage.apply(size=1)
    world.refused["orders-a"] = Refuse(permanent=True)
    operation = UUID(await stage.delete())
    await stage.delete()
    await stage.ask(RetryOperation(**THING, operation=operation))
    await stage.ask(AbandonOperation(**THING, operation=operation))
    await stage.ask(AbandonOperation(**THING, operation=operation))
    await stage.delete()
    await stage.apply(size=2)
    await wait(MINUTE)
    world.refused.clear()
    await stage.apply(size=3)
    await stage.ask(ReleaseResource(**THING))
    await stage.apply(size=3)


@_run
async def waiting(stage: Stage) -> None:
    """A create hangs and is refused when it is tried again; what comes late is removed."""
    stage.outside.hanging = 1
    stage.outside.full = True
    await stage.apply(size=1, tardy=True, early=False)
    await wait(2 * MINUTE)


@_run
async def webhooks(stage: Stage) -> None:
    """A webhook is delivered, another after retries, a third never."""
    await stage.subscribe()
    await stage.apply(size=1)
    stage.outside.refusals = 2
    await stage.apply(size=2)
    await wait(5 * MINUTE)
    stage.outside.refusals = 100
    await stage.apply(size=3)
    await wait(10 * MINUTE)


@_run
async def resent(stage: Stage) -> None:
    """Test events are delivered, in vain and with success; a delivery that failed is made again."""
    test = SendTestEvent(team="payments", name="all")
    await stage.subscribe()
    stage.outside.refusals = 100
    await stage.ask(test)
    await stage.apply(size=1)
    await wait(10 * MINUTE)
    stage.outside.refusals = 0
    await stage.ask(test)
    await stage.ask(ResendDeliveries(team="payments", name="all"))
    await stage.ask(ResendDeliveries(team="payments", name="all", event="unknown"))
    await wait(MINUTE)


@_run
async def subscriptions(stage: Stage) -> None:
    """A subscription is made, changed, refused, ended, and ended once more."""
    await stage.subscribe()
    await stage.subscribe(types=("busbar.policy.*",), secret="secret:other")  # noqa: S106 - a name
    await stage.subscribe(types=("busbar.nothing.at-all.v1",))
    for _ in range(2):
        await stage.ask(DeleteSubscription(team="payments", name="all"))
    await stage.subscribe(url="https://payments.example/other")


@_run
async def recovered(stage: Stage) -> None:
    """A bug parks a resource's facts, and what waited continues automatically once it is fixed."""
    await stage.apply(size=1)
    stage.bug = True
    await stage.apply(size=2)
    await wait(MINUTE)
    await stage.apply(size=3)
    stage.bug = False
    await wait(120 * MINUTE)


@_run
async def redriven(stage: Stage) -> None:
    """The same, redriven: in vain while the bug is there, and with success after."""
    await stage.apply(size=1)
    stage.bug = True
    await stage.apply(size=2)
    await wait(MINUTE)
    redrive = RedriveDeadLetter(service="provisioner", dead_letter=stage.dead_letter("provisioner"))
    await stage.ask(redrive)
    await wait(MINUTE)
    stage.bug = False
    await stage.ask(redrive)
    await wait(MINUTE)
    await stage.apply(size=3)


@_run
async def discarded(stage: Stage) -> None:
    """A parked fact is discarded, what is behind it goes on; an unreadable record is as well."""
    await stage.apply(size=1)
    stage.bug = True
    await stage.apply(size=2)
    await stage.apply(size=3)
    await wait(MINUTE)
    dead_letter = stage.dead_letter("provisioner")
    stage.bug = False
    await stage.ask(DiscardDeadLetter(service="provisioner", dead_letter=dead_letter))
    await wait(MINUTE)
    stage.broker.append(ApplyResource.TOPIC, key=b"k", value=b"{", headers=[("x", None)])
    await wait(5)
    dead_letter = stage.dead_letter("policy")
    await stage.ask(RedriveDeadLetter(service="policy", dead_letter=dead_letter))
    await stage.ask(DiscardDeadLetter(service="policy", dead_letter=dead_letter))
    await stage.ask(DiscardDeadLetter(service="policy", dead_letter="unknown"))
