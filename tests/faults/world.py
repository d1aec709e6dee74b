"""The outside of the platform, which survives its processes: backends, owners, a receiver."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from busbar.backends.port import (
    Backend,
    BackendUnavailable,
    Call,
    Fencing,
    Observation,
    Outcome,
    Presence,
    acts_late_seconds,
)
from busbar.kernel.clock import Clock
from busbar.notifier.domain import Attempt, SecretProblem, WebhookRequest, WebhookSecret
from busbar.testing.memory import Action, Effect, MemoryBackend, MemoryWorld, Thing
from faults.loop import latency

SECRET = WebhookSecret(bytes(range(32)))
UNSEEN = 2
"""How many looks do not find yet what is new on the shelf."""


@dataclass(slots=True)
class Outside:
    """Everything outside that remembers."""

    world: MemoryWorld = field(default_factory=MemoryWorld)
    shelf: "Shelf" = field(default_factory=lambda: Shelf())  # noqa: PLW0108 - it is defined below
    tardy: MemoryWorld = field(default_factory=MemoryWorld)
    """The world of a backend that acts late and refuses no older epoch."""
    hanging: int = 0
    """How many of the next changes in it hang: they are carried out late."""
    full: bool = False
    """Whether it refuses to make anything."""
    late: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    """What it will carry out, and when."""
    silences: int = 0
    """How many of the next looks are not answered."""
    seconds: float = 0.0
    """How long the world takes for a change."""
    received: list[str] = field(default_factory=list)
    """The ids of webhooks, as often as they came."""
    bodies: list[bytes] = field(default_factory=list, repr=False)
    """The bodies of webhooks that came."""
    refusals: int = 0
    """How many of the next webhooks are refused."""
    answered: set[str] = field(default_factory=set)
    """The intents for which a client has got its answer; others are sent again."""
    answers: dict[str, Any] = field(default_factory=dict)
    """What a client that waits for answers has got, by what it did."""
    stored_keys: list[bytes] = field(default_factory=list, repr=False)
    """Encrypted keys of persons as the database had them before the erasure."""
    broken: set[str] = field(default_factory=set)
    """The ids of the intents at which the provisioner fails."""

    def act_late(self, now: float) -> None:
        """Carry out what is due at ``now``."""
        due = [change for time, change in self.late if time <= now]
        self.late = [one for one in self.late if one[0] > now]
        for change in due:
            change()


class FarBackend:
    """A backend behind a network: a process can be stopped on the way there or back."""

    def __init__(self, inner: Backend, outside: Outside, clock: Clock) -> None:
        self._inner = inner
        self._outside = outside
        self._clock = clock
        self.fencing: Fencing = inner.fencing
        self.acts_late_seconds = acts_late_seconds(inner)

    async def observe(self, call: Call) -> Observation:
        await latency()
        if self._outside.silences:
            self._outside.silences -= 1
            raise BackendUnavailable("no answer")
        seen = await self._inner.observe(call)
        await latency()
        return seen

    async def apply(self, call: Call) -> Outcome:
        return await self._change(self._inner.apply, call)

    async def remove(self, call: Call) -> Outcome:
        return await self._change(self._inner.remove, call)

    async def close(self) -> None:
        await self._inner.close()

    async def _change(self, change: Any, call: Call) -> Outcome:
        await latency()
        if self._outside.seconds:
            await self._clock.sleep(self._outside.seconds)
        outcome: Outcome = await change(call)
        await latency()
        return outcome


@dataclass(slots=True, kw_only=True)
class BatchItem:
    """Something on the shelf. ``unseen`` counts the looks that do not find it yet."""

    owner: str
    inputs: dict[str, Any]
    unseen: int


@dataclass(slots=True)
class Shelf:
    """A world that shows late what was made, and takes each operation key once."""

    items: list[BatchItem] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    effects: list[Effect] = field(default_factory=list)


class ShelfBackend:
    """As many clouds are: names are not unique, and only the key keeps a second thing away."""

    fencing = Fencing.UNFENCED

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def _find(self, call: Call) -> BatchItem | None:
        for item in self._shelf.items:
            if item.owner == call.owner and item.unseen == 0:
                return item
        return None

    async def observe(self, call: Call) -> Observation:
        found = self._find(call)
        for item in self._shelf.items:
            item.unseen = max(0, item.unseen - 1)
        if found is None:
            return Observation(presence=Presence.ABSENT)
        asked = dict(call.inputs)
        differs = tuple(sorted(k for k in asked if found.inputs.get(k) != asked[k]))
        return Observation(
            presence=Presence.OURS, ready=True, differs=differs, outputs=dict(found.inputs)
        )

    async def apply(self, call: Call) -> Outcome:
        if call.operation_key in self._shelf.keys:
            return Outcome.done()
        item = BatchItem(owner=call.owner, inputs=dict(call.inputs), unseen=UNSEEN)
        self._shelf.items.append(item)
        self._note(call, "create")
        return Outcome.done()

    async def remove(self, call: Call) -> Outcome:
        found = self._find(call)
        if found is not None:
            self._shelf.items.remove(found)
            self._note(call, "remove")
        return Outcome.done()

    async def close(self) -> None:
        """Nothing to let go of."""

    def _note(self, call: Call, action: Action) -> None:
        self._shelf.keys.add(call.operation_key)
        self._shelf.effects.append(
            Effect(
                action=action,
                name=str(call.inputs["name"]),
                owner=call.owner,
                operation_key=call.operation_key,
                epoch=call.epoch,
            )
        )


LATE_SECONDS = 20.0
"""How late the tardy backend acts."""


class TardyBackend(MemoryBackend):
    """Carries out a call that hangs although its caller has given up, and whatever comes after."""

    fencing = Fencing.UNFENCED
    acts_late_seconds = LATE_SECONDS

    def __init__(self, outside: Outside, clock: Clock) -> None:
        super().__init__(world=outside.tardy)
        self._outside = outside
        self._clock = clock

    async def observe(self, call: Call) -> Observation:
        self.catch_up()
        return await super().observe(call)

    async def apply(self, call: Call) -> Outcome:
        if (hanging := await self._change_late(call)) is not None:
            return hanging
        if self._outside.full:
            return Outcome.not_done("refused", "there is no room", permanent=True)
        return await super().apply(call)

    async def remove(self, call: Call) -> Outcome:
        return await self._change_late(call) or await super().remove(call)

    async def _change_late(self, call: Call) -> Outcome | None:
        self.catch_up()
        self.world.epochs.pop(call.owner, None)
        if not self._outside.hanging:
            return None
        self._outside.hanging -= 1
        thing = Thing(owner=call.owner, inputs=dict(call.inputs))

        def carry_out() -> None:
            self.world.things[str(call.inputs["name"])] = thing

        due = self._clock.now().timestamp() + call.timeout + LATE_SECONDS * 0.9
        self._outside.late.append((due, carry_out))
        return Outcome.unknown("timeout", "no answer")

    def catch_up(self) -> None:
        """Carry out what is due."""
        self._outside.act_late(self._clock.now().timestamp())


class SimulatedAdapters:
    """The adapters ``memory``, ``shelf`` and ``tardy``, over what is outside."""

    def __init__(self, outside: Outside, clock: Clock) -> None:
        inner: Mapping[str, Backend] = {
            "memory": MemoryBackend(world=outside.world),
            "shelf": ShelfBackend(outside.shelf),
            "tardy": TardyBackend(outside, clock),
        }
        self._backends = {name: FarBackend(one, outside, clock) for name, one in inner.items()}

    def find(self, name: str) -> Backend | None:
        return self._backends.get(name)


class Receiver:
    """Receives the webhooks, and counts repetitions by their id."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    async def send(self, request: WebhookRequest) -> Attempt:
        await latency()
        if self._outside.refusals:
            self._outside.refusals -= 1
            await latency()
            return Attempt(status=503)
        self._outside.received.append(request.headers["webhook-id"])
        self._outside.bodies.append(request.body)
        await latency()
        return Attempt(status=204)


class OneSecret:
    """Knows every secret."""

    async def webhook_secrets(
        self,
        ref: str,  # noqa: ARG002 - the port's
        *,
        team: str,  # noqa: ARG002 - the port's
    ) -> tuple[WebhookSecret, ...] | SecretProblem:
        await latency()
        return (SECRET,)


def strangers(world: MemoryWorld, owner: str) -> Callable[[], list[str]]:
    """Watch what happens to the things of ``owner``, another owner than us, from now on."""
    before = {name: replace(thing) for name, thing in world.things.items() if thing.owner == owner}

    def harmed() -> list[str]:
        return sorted(name for name, thing in before.items() if world.things.get(name) != thing)

    return harmed
