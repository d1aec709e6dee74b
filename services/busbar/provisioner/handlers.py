"""The shell around the saga: records what was decided, acts, records what came of it.

Law 4: the intent to act is stored first, with what was observed; then the backend is called with
a deterministic operation key and the lease's epoch; then the result is stored, fenced by that
epoch. What is unknown is observed, never guessed.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from busbar.backends.port import (
    UNAVAILABLE,
    Backend,
    BackendUnavailable,
    Call,
    Observation,
    Outcome,
    Presence,
    Result,
)
from busbar.kernel.clock import Clock
from busbar.kernel.decide import fold
from busbar.kernel.template import TemplateError
from busbar.messages.base import OperationFact
from busbar.messages.policy import IntentAllowed
from busbar.provisioner.domain import (
    Command,
    Ensure,
    Finish,
    Remove,
    ResourceState,
    Saga,
    decide_finished,
    decide_observed,
    decide_outcome,
    decide_queued,
    decide_unplannable,
    evolve,
    next_command,
)
from busbar.provisioner.measures import measure_ends
from busbar.provisioner.ports import Adapters
from busbar.provisioner.watched import WatchedBackend
from busbar.runtime.consume.service import Received, Service
from busbar.runtime.core.backoff import Backoff, Chance, chance
from busbar.runtime.store import Cause, Transaction
from busbar.runtime.tasks.runner import Work
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()

SAGA = "saga"
SAGAS = 256
"""Operations that a process works on at a time."""
CALL_SHARE = 0.8
"""A call may take this share of the lease: it is over before anybody else may act (law 5)."""
LOOK_AGAIN = 0.2
STUCK_SECONDS = 60.0
BACKOFF = Backoff(first=1.0, longest=30.0)

Decide = Callable[[ResourceState], Sequence[OperationFact]]


@dataclass(frozen=True, slots=True)
class _At:
    """Where an operation is: the state, and what comes next if that can be told."""

    state: ResourceState
    command: Command | None
    problem: TemplateError | None = None

    @classmethod
    def of(cls, state: ResourceState) -> "_At":
        """Find out what comes next; it takes as long as everything else that is done for it."""
        try:
            return cls(state, next_command(state))
        except TemplateError as error:
            return cls(state, None, error)


class Provisioner:
    """Runs the sagas of every resource, one operation of a resource at a time."""

    def __init__(
        self, adapters: Adapters, *, clock: Clock, lease: float, chance: Chance = chance
    ) -> None:
        """Act through ``adapters``; calls are kept well below ``lease`` seconds.

        What failed waits for its next try; waits differ by ``chance``.
        """
        self._backoff = replace(BACKOFF, chance=chance)
        self._adapters = adapters
        self._clock = clock
        self._timeout = lease * CALL_SHARE
        self._room: dict[str, asyncio.Semaphore] = {}

    def service(self) -> Service:
        """The service, wired."""
        service = Service("provisioner")
        service.on(IntentAllowed, self.take_over, stream=lambda allowed: _stream(allowed.resource))
        service.task(SAGA, self.run, concurrency=SAGAS, preload=self.open)
        return service

    async def take_over(self, received: Received[IntentAllowed], tx: Transaction) -> None:
        """Queue an allowed intent behind the resource's others and wake its saga."""
        allowed, cause = received.message, tx.cause
        state = await tx.load(_stream(allowed.resource), ResourceState(), evolve)
        facts = decide_queued(
            state,
            allowed,
            correlation=cause.correlation,
            traceparent=cause.traceparent,
            allowed_at=received.envelope.time,
        )
        await tx.append(_stream(allowed.resource), facts, key=allowed.resource)
        await tx.tasks.schedule(SAGA, allowed.resource)

    async def open(self, resources: Collection[str], tx: Transaction) -> dict[str, ResourceState]:
        """The states of ``resources``: whoever claims them finds them so."""
        await tx.fetch([_stream(resource) for resource in resources])
        return {
            resource: await tx.load(_stream(resource), ResourceState(), evolve)
            for resource in resources
        }

    async def run(self, work: Work) -> None:
        """Work on one resource until nothing is left to do, or something has to be waited for."""
        since: dict[str, float] = {}
        at = _At.of(work.preloaded) if work.preloaded is not None else None
        if at is None or at.state.saga is None or isinstance(at.command, Finish):
            at = await self._record(work, lambda _: [])
        while at.state.saga is not None:
            before, at = at.state, await self._advance(work, at, since)
            if at.state.saga is not None and _has_to_wait(before, at.state):
                await self._pause(work, at.state.saga)
                return

    async def _advance(self, work: Work, at: _At, since: dict[str, float]) -> _At:
        """Do the next thing."""
        if (problem := at.problem) is not None:
            return await self._record(
                work, lambda now: decide_unplannable(now, problem, epoch=work.claim.epoch)
            )
        if isinstance(at.command, Ensure | Remove):
            return await self._perform(work, at, at.command, since)
        return await self._record(work, lambda _: [])

    # -- one effect -----------------------------------------------------------------------------

    async def _perform(
        self, work: Work, at: _At, command: Ensure | Remove, since: dict[str, float]
    ) -> _At:
        """Observe, and act if what is seen asks for it, when the adapter has room for it.

        It is waited for before anything is recorded: a call has to begin with a fresh lease.
        """
        backend = self._find(command.adapter, at.state.saga)
        if isinstance(backend, Outcome):
            return await self._answered(work, at, command, backend)
        async with self._room_of(command.adapter, backend):
            return await self._effect(work, at, command, since, backend)

    def _room_of(self, adapter: str, backend: WatchedBackend) -> asyncio.Semaphore:
        if adapter not in self._room:
            self._room[adapter] = asyncio.Semaphore(backend.concurrency)
        return self._room[adapter]

    async def _effect(
        self,
        work: Work,
        at: _At,
        command: Ensure | Remove,
        since: dict[str, float],
        backend: Backend,
    ) -> _At:
        call = self._call(work, command)
        seen = await self._observe(backend, call)
        if isinstance(seen, Outcome):
            return await self._answered(work, at, command, seen)
        previous = await self._observe_previous(backend, call, at.state, command, seen)
        if isinstance(previous, Outcome):
            return await self._answered(work, at, command, previous)
        epoch, overdue = work.claim.epoch, self._overdue(command, since)
        after = await self._record(
            work,
            lambda now: decide_observed(
                now, command, seen, epoch=epoch, overdue=overdue, previous=previous
            ),
        )
        if _is_started(at.state, after.state, command):
            outcome = await self._act(backend, command, call)
            return await self._answered(work, after, command, outcome)
        if _is_unchanged(at.state, after.state) and not _is_stuck(after.state):
            await self._clock.sleep(LOOK_AGAIN)
        return after

    async def _answered(
        self, work: Work, at: _At, command: Ensure | Remove, outcome: Outcome
    ) -> _At:
        """Record what did not happen; anything else is only believed when it is seen."""
        if outcome.result is not Result.NOT_DONE:
            return at
        epoch = work.claim.epoch
        return await self._record(
            work, lambda now: decide_outcome(now, command, outcome, epoch=epoch)
        )

    def _find(self, name: str, saga: Saga | None) -> WatchedBackend | Outcome:
        try:
            backend = self._adapters.find(name)
        except Exception as error:
            log.exception("adapter_not_loaded", adapter=name)
            detail = f"the adapter {name} cannot be loaded: {type(error).__name__}"
            return Outcome.not_done("adapter_failed", detail, permanent=False)
        if backend is None:
            detail = (
                f"no adapter called {name} is installed: install the package that offers it "
                "(entry point group busbar.adapters)"
            )
            return Outcome.not_done("no_adapter", detail, permanent=True)
        return WatchedBackend(backend, name, saga=saga, clock=self._clock)

    async def _observe(self, backend: Backend, call: Call) -> Observation | Outcome:
        try:
            async with asyncio.timeout(call.timeout):
                return await backend.observe(call)
        except (BackendUnavailable, TimeoutError, OSError) as error:
            return Outcome.not_done(UNAVAILABLE, str(error) or "no answer", permanent=False)
        except Exception as error:
            log.exception("adapter_failed", owner=call.owner)
            detail = f"the adapter could not look: {type(error).__name__}"
            return Outcome.not_done("adapter_failed", detail, permanent=False)

    async def _observe_previous(
        self,
        backend: Backend,
        call: Call,
        state: ResourceState,
        command: Ensure | Remove,
        seen: Observation,
    ) -> Observation | Outcome | None:
        """What is there under the inputs that were applied before, if it may be another thing."""
        before = state.previously(command.step)
        if before is None or before.inputs == command.inputs:
            return None
        if seen.presence is not Presence.ABSENT or before.adapter != command.adapter:
            return None
        return await self._observe(backend, replace(call, inputs=before.inputs))

    async def _act(self, backend: Backend, command: Ensure | Remove, call: Call) -> Outcome:
        act = backend.remove if isinstance(command, Remove) else backend.apply
        try:
            async with asyncio.timeout(call.timeout):
                outcome = await act(call)
        except TimeoutError:
            outcome = Outcome.unknown("timeout", f"no answer within {call.timeout:g} seconds")
        except Exception as error:
            # An adapter's bug tells nothing about the world: observe it.
            log.exception("adapter_failed", adapter=command.adapter)
            outcome = Outcome.unknown("adapter_failed", type(error).__name__)
        return outcome

    def _call(self, work: Work, command: Ensure | Remove) -> Call:
        return Call(
            owner=f"{work.claim.name}#{command.step}",
            inputs=command.inputs,
            operation_key=command.operation_key,
            epoch=work.claim.epoch,
            timeout=self._timeout,
        )

    def _overdue(self, command: Ensure | Remove, since: dict[str, float]) -> bool:
        if isinstance(command, Remove):
            return False
        now = self._clock.now().timestamp()
        return now - since.setdefault(command.operation_key, now) > command.ready_within

    # -- recording ------------------------------------------------------------------------------

    async def _record(self, work: Work, decide: Decide) -> _At:
        """Store what ``decide`` gives, and what follows without any effect, under the lease."""

        async def body(tx: Transaction) -> _At:
            stream = _stream(work.claim.name)
            state = await tx.load(stream, ResourceState(), evolve)
            at = _At.of(await _append(tx, stream, state, decide(state)))
            while isinstance(at.command, Finish):
                finished = decide_finished(at.state)
                at = _At.of(await _append(tx, stream, at.state, finished))
            if at.state.saga is None:
                await tx.tasks.finish(work.claim)
            return at

        return await work.record(body, reads=[_stream(work.claim.name)])

    async def _pause(self, work: Work, saga: Saga) -> None:
        wait = STUCK_SECONDS if saga.stuck else self._backoff.after(saga.failures)

        async def later(tx: Transaction) -> None:
            await tx.tasks.finish(work.claim, again=tx.now + timedelta(seconds=wait))

        await work.record(later)


async def _append(
    tx: Transaction, stream: str, state: ResourceState, facts: Sequence[OperationFact]
) -> ResourceState:
    saga = state.saga
    if saga is None or not facts:
        return state
    intent = saga.intent
    cause = Cause(
        f"operation:{intent.resource}",
        str(intent.operation),
        intent.correlation,
        intent.traceparent,
    )
    tx.caused_by(cause, index=saga.recorded)
    await tx.append(stream, facts, key=intent.resource)
    measure_ends(tx, facts, intent)
    return fold(evolve, state, facts)


def _is_unchanged(before: ResourceState, after: ResourceState) -> bool:
    """Whether nothing was recorded about the operation in between."""
    old, new = before.saga, after.saga
    if old is None or new is None:
        return old is new
    return (old.intent.operation, old.recorded) == (new.intent.operation, new.recorded)


def _is_started(before: ResourceState, after: ResourceState, command: Ensure | Remove) -> bool:
    """Whether the intent to act was recorded just now."""
    was = before.saga.step(command.step) if before.saga else None
    step = after.saga.step(command.step) if after.saga else None
    return step is not None and step.status == "started" and step != was


def _is_stuck(state: ResourceState) -> bool:
    return state.saga is not None and state.saga.stuck


def _has_to_wait(before: ResourceState, after: ResourceState) -> bool:
    """Whether a try failed, or what keeps a stuck operation from going on is still there."""
    if before.saga is None or after.saga is None:
        return False
    if before.saga.intent.operation != after.saga.intent.operation:
        return False
    failed = after.saga.failures > before.saga.failures
    return failed or (after.saga.stuck and _is_unchanged(before, after))


def _stream(resource: str) -> str:
    return f"resource/{resource}"
