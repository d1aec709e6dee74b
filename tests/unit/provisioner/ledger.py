"""A store of lists and a watched backend: what the shell's laws are checked on, quickly.

Every await of the two suspends, so that a test can stop the shell before and after everything.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Generator, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from busbar.backends.port import Backend, Call, Fencing, Observation, Outcome
from busbar.kernel.decide import fold
from busbar.kernel.errors import Fenced
from busbar.messages.base import Message
from busbar.messages.envelope import Envelope
from busbar.messages.intervention import InterventionAllowed
from busbar.messages.policy import IntentAllowed
from busbar.messages.resource import ResourceQueued, StepStarted
from busbar.provisioner.domain import ResourceState, evolve
from busbar.provisioner.handlers import SAGA, Provisioner
from busbar.runtime.consume.service import Received
from busbar.runtime.core.bus import Record
from busbar.runtime.store import Cause, Claim, Document, Store, Transaction
from busbar.runtime.tasks.runner import Work
from busbar.testing import ManualClock
from busbar.testing.memory import Fault, MemoryBackend, MemoryWorld
from support.personal import no_personal_data
from unit.provisioner.scenario import CORRELATION, RESOURCE, SOURCE, TERMINAL, TRACE, tale

Result = TypeVar("Result")
LEASE = 5.0
MANY = 1000


async def pause() -> None:
    """Somewhere to be stopped."""
    await asyncio.sleep(0)


def received(message: IntentAllowed, *, time: datetime | None = None) -> Received[IntentAllowed]:
    """The message as it comes off the bus."""
    envelope = Envelope(
        id=str(message.generation), source=SOURCE, type=message.TYPE, time=time, data={}
    )
    record = Record(message.TOPIC, 0, message.generation, 0, b"", b"", [])
    return Received(message, envelope, record)


def claim(epoch: int, revision: int) -> Claim:
    """The ``epoch``-th lease on the saga, claimed at its ``revision``."""
    return Claim(
        kind=SAGA,
        name=RESOURCE,
        data={},
        revision=revision,
        attempts=0,
        epoch=epoch,
        holder="me",
        lease=timedelta(seconds=LEASE),
    )


@dataclass
class Ledger:
    """Events and one task, each transaction all or nothing, fenced by the epoch."""

    clock: ManualClock
    messages: list[Message] = field(default_factory=list)
    epoch: int = 0
    due: datetime | None = None
    revision: int = 0
    """How often the task was scheduled."""
    documents: dict[tuple[str, str], Document] = field(default_factory=dict)
    transactions: int = 0
    """How many there were under this lease."""

    async def transact(
        self,
        body: Callable[[Transaction], Awaitable[Result]],
        *,
        fence: Claim | None = None,
        reads: Collection[str] = (),
    ) -> Result:
        await pause()
        self.transactions += 1
        assert self.transactions < MANY, f"it never ends: {tale(self.messages[-10:])}"
        tx = LedgerTransaction(self)
        result = await body(cast("Transaction", tx))
        await pause()
        assert set(reads) <= {f"resource/{RESOURCE}"}
        if fence is not None and fence.epoch != self.epoch:
            raise Fenced(f"epoch {fence.epoch} is over")
        self.messages += tx.pending
        self.documents = tx.noted
        self.due, self.revision = tx.due, tx.revision
        for measure, value in tx.measured:
            measure(value)
        await pause()
        return result

    def state(self) -> ResourceState:
        return fold(evolve, ResourceState(), self.messages)

    def work(self) -> Work:
        """Claim the task."""
        self.epoch += 1
        self.transactions = 0
        return Work(claim(self.epoch, self.revision), cast("Store", self))


class LedgerTransaction:
    """As much of a transaction as the provisioner uses."""

    def __init__(self, ledger: Ledger) -> None:
        self.pending: list[Message] = []
        self.due = ledger.due
        self.revision = ledger.revision
        self.now = ledger.clock.now()
        self.tasks = self
        self.documents = self
        self.noted = dict(ledger.documents)
        self.measured: list[tuple[Callable[[float], None], float]] = []
        self.cause = Cause(SOURCE, "cause", CORRELATION, TRACE)
        self._ledger = ledger

    def caused_by(self, cause: Cause, *, index: int = 0) -> None:
        """Ignored here; the tests with the real store check it."""

    def measure(self, measure: Callable[[float], None], value: float) -> None:
        """Measure after the commit."""
        self.measured.append((measure, value))

    async def load(
        self, _stream: str, initial: Result, evolve: Callable[[Result, Any], Result]
    ) -> Result:
        return fold(evolve, initial, [*self._ledger.messages, *self.pending])

    async def append(self, _stream: str, messages: Iterable[Message], **_more: Any) -> None:
        for message in messages:
            # As the store does: what is read back is what was written.
            self.pending.append(type(message).model_validate_json(message.model_dump_json()))

    async def put(self, document: Document) -> None:
        self.noted[document.kind, document.key] = document

    async def remove(self, kind: str, key: str) -> None:
        self.noted.pop((kind, key), None)

    async def schedule(self, _kind: str, _name: str) -> None:
        self.due = self.now
        self.revision += 1

    async def finish(self, claim: Claim, *, again: datetime | None = None) -> None:
        if claim.revision == self.revision:  # else it was scheduled meanwhile, and stays due
            self.due = again


@dataclass
class Watched:
    """A backend that suspends, and checks that no call comes before its record."""

    inner: MemoryBackend
    ledger: Ledger
    repeat: bool = False
    """Call everything twice, and check that the second answer is the same."""
    faults: dict[int, Fault] = field(default_factory=dict)
    """What goes wrong at the n-th call from 0 that would change something."""
    acted: int = 0
    meanwhile: Callable[[], Awaitable[None]] | None = None
    """Happens once, while the next answer is on its way."""
    fencing: Fencing = Fencing.CONDITIONAL

    async def observe(self, call: Call) -> Observation:
        await pause()
        seen = await self.inner.observe(call)
        if self.repeat:
            assert await self.inner.observe(call) == seen
        await self._on_the_way()
        return seen

    async def apply(self, call: Call) -> Outcome:
        return await self._act(self.inner.apply, call)

    async def remove(self, call: Call) -> Outcome:
        return await self._act(self.inner.remove, call)

    async def close(self) -> None:
        await self.inner.close()

    async def _act(self, act: Callable[[Call], Awaitable[Outcome]], call: Call) -> Outcome:
        await pause()
        assert any(
            (fact.operation_key, fact.epoch, fact.inputs)
            == (call.operation_key, call.epoch, call.inputs)
            for fact in self.ledger.messages
            if isinstance(fact, StepStarted)
        ), "an effect came before its record"
        if self.acted in self.faults:
            self.inner.world.fail(self.faults[self.acted])
        self.acted += 1
        outcome = await act(call)
        if self.repeat:
            assert await act(call) == outcome
        await self._on_the_way()
        return outcome

    async def _on_the_way(self) -> None:
        await pause()
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()


class Platform:
    """A provisioner over a ledger and a world."""

    def __init__(self, *, repeat: bool = False) -> None:
        self.clock = ManualClock()
        self.ledger = Ledger(self.clock)
        self.world = MemoryWorld()
        self.backend = Watched(MemoryBackend(world=self.world), self.ledger, repeat)
        self.provisioner = Provisioner(self, no_personal_data(), clock=self.clock, lease=LEASE)

    def find(self, name: str) -> Backend | None:
        return self.backend if name == "memory" else None

    async def ask(self, *asked: IntentAllowed) -> None:
        for one in asked:

            async def take_over(tx: Transaction, message: IntentAllowed = one) -> None:
                await self.provisioner.enqueue(received(message), tx)

            await self.ledger.transact(take_over)

    async def intervene(self, asked: InterventionAllowed) -> None:
        """Take over an intervention."""

        async def take_over(tx: Transaction) -> None:
            envelope = Envelope(id="i", source=SOURCE, type=asked.TYPE, data={})
            record = Record(asked.TOPIC, 0, 0, 0, b"", b"", [])
            await self.provisioner.intervene(Received(asked, envelope, record), tx)

        await self.ledger.transact(take_over)

    async def settle(self, *, leases: int = 60) -> list[str]:
        """Work under one lease after the other until nothing is due, or it is stuck for good."""
        stuck = 0
        while self.ledger.due is not None and stuck < 3:
            leases -= 1
            if leases < 0:
                raise AssertionError(f"it never ends: {self.tale()[-20:]}")
            waiting = (self.ledger.due - self.clock.now()).total_seconds()
            self.clock.advance(max(0.0, waiting))
            await self.provisioner.run(self.ledger.work())
            saga = self.ledger.state().saga
            stuck = stuck + 1 if saga is not None and saga.stuck else 0
        return self.tale()

    async def work_until(self, stop: int) -> bool:
        """Work under a new lease, and die at the ``stop``-th await; False if it came to its end."""
        return await die_at(self.provisioner.run(self.ledger.work()), stop)

    def tale(self) -> list[str]:
        return tale(self.ledger.messages)

    def things(self) -> dict[str, tuple[str | None, dict[str, Any]]]:
        """Everything there is: its owner and its inputs."""
        return {name: (one.owner, one.inputs) for name, one in self.world.things.items()}

    def effects(self) -> list[tuple[str, str, str]]:
        """Return every change, under whichever lease."""
        return [(one.action, one.name, one.operation_key) for one in self.world.effects]

    def ends_per_operation(self) -> dict[str, int]:
        """Count the ends of every queued operation."""
        queued = [str(m.operation) for m in self.ledger.messages if isinstance(m, ResourceQueued)]
        ended = [str(m.operation) for m in self.ledger.messages if isinstance(m, TERMINAL)]
        assert len(set(queued)) == len(queued)
        assert set(ended) <= set(queued)
        return {operation: ended.count(operation) for operation in queued}


class Death(BaseException):
    """Kills a process in the middle of its work."""


class die_at:  # noqa: N801 - awaited like a function
    """Drive a coroutine, and throw :class:`Death` into it at its n-th :func:`pause`.

    Awaits inside the database driver are not counted: a process that dies there takes its
    connection along, an exception does not.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, None], stop: int) -> None:
        self._coroutine = coroutine
        self._left = stop

    def __await__(self) -> Generator[Any, Any, bool]:
        waiting: Any = None
        try:
            waiting = self._coroutine.send(None)
            while True:
                self._left -= waiting is None
                if self._left == 0:
                    self._left = -1
                    waiting = self._coroutine.throw(Death())
                    continue
                try:
                    value = yield waiting
                except BaseException as error:  # noqa: BLE001 - handed on
                    waiting = self._coroutine.throw(error)
                else:
                    waiting = self._coroutine.send(value)
        except StopIteration:
            return False
        except Death:
            return True
