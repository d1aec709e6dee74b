"""Runs the sagas: observes, records the intent to act, acts, and records the result.

The intent to act is stored first, together with the observation; then the backend is called with
a deterministic operation key and the lease's epoch; then the result is stored, fenced by that
epoch. An unknown result is observed, never guessed.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

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
from busbar.kernel.expressions import TemplateError
from busbar.messages import topics
from busbar.messages.base import OperationFact
from busbar.messages.policy import IntentAllowed
from busbar.messages.resource import (
    ResourceDeleted,
    ResourceFailed,
    ResourceProvisioned,
    ResourceQueued,
    ResourceStuck,
    StepFailed,
    StepStarted,
    StepSucceeded,
    StepUndone,
)
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
from busbar.provisioner.telemetry import InstrumentedBackend, measure_ends
from busbar.runtime.consume.service import Received, Service
from busbar.runtime.core.backoff import Backoff, Jitter, jitter
from busbar.runtime.store import Cause, Transaction
from busbar.runtime.tasks.runner import Work
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()

EMITS = (
    ResourceQueued,
    StepStarted,
    StepSucceeded,
    StepFailed,
    StepUndone,
    ResourceProvisioned,
    ResourceDeleted,
    ResourceFailed,
    ResourceStuck,
)

SAGA = "saga"
CONCURRENT_SAGAS = 256
"""Resources that a process works on concurrently."""
CALL_SHARE_OF_LEASE = 0.8
"""A call may take this share of the lease, so that it is over before another process may act."""
READY_POLL_SECONDS = 0.2
"""Interval between observations of a step that is applied and not ready yet."""
STUCK_RETRY_SECONDS = 60.0
"""Interval between observations of a stuck operation."""
RETRY_BACKOFF = Backoff(first=1.0, longest=30.0)

Decide = Callable[[ResourceState], Sequence[OperationFact]]


@dataclass(frozen=True, slots=True)
class _Progress:
    """The state of a resource and its next command, or the error that prevents one."""

    state: ResourceState
    command: Command | None
    problem: TemplateError | None = None

    @classmethod
    def of(cls, state: ResourceState) -> "_Progress":
        try:
            return cls(state, next_command(state))
        except TemplateError as error:
            return cls(state, None, error)


class Adapters(Protocol):
    """The installed adapters."""

    def find(self, name: str) -> Backend | None:
        """Return the adapter called ``name``, or None if it is not installed."""
        ...


class Provisioner:
    """Runs the sagas of every resource, one operation of a resource at a time.

    Effects go through ``adapters``; a call takes at most a share of ``lease`` (seconds). Retries
    are delayed with jitter from ``jitter``.
    """

    def __init__(
        self, adapters: Adapters, *, clock: Clock, lease: float, jitter: Jitter = jitter
    ) -> None:
        self._backoff = replace(RETRY_BACKOFF, jitter=jitter)
        self._adapters = adapters
        self._clock = clock
        self._timeout = lease * CALL_SHARE_OF_LEASE
        self._slots: dict[str, asyncio.Semaphore] = {}

    def service(self) -> Service:
        """Return the service with its handlers registered."""
        service = Service("provisioner", emits=EMITS, executes=[topics.FACTS_POLICY])
        service.on(IntentAllowed, self.enqueue, stream=lambda allowed: _stream(allowed.resource))
        service.task(SAGA, self.run, concurrency=CONCURRENT_SAGAS, preload=self.preload)
        return service

    async def enqueue(self, received: Received[IntentAllowed], tx: Transaction) -> None:
        """Queue an allowed intent behind the others of its resource, and schedule its saga."""
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

    async def preload(
        self, resources: Collection[str], tx: Transaction
    ) -> dict[str, ResourceState]:
        """Load the states of ``resources`` in the transaction that claims their sagas."""
        await tx.fetch([_stream(resource) for resource in resources])
        return {
            resource: await tx.load(_stream(resource), ResourceState(), evolve)
            for resource in resources
        }

    async def run(self, work: Work) -> None:
        """Work on one resource until nothing is left to do, or a retry is due later."""
        since: dict[str, float] = {}
        at = _Progress.of(work.preloaded) if work.preloaded is not None else None
        if at is None or at.state.saga is None or isinstance(at.command, Finish):
            at = await self._record(work, lambda _: [])
        while at.state.saga is not None:
            before, at = at.state, await self._advance(work, at, since)
            if at.state.saga is not None and _has_to_wait(before, at.state):
                await self._pause(work, at.state.saga)
                return

    async def _advance(self, work: Work, at: _Progress, since: dict[str, float]) -> _Progress:
        if (problem := at.problem) is not None:
            return await self._record(
                work, lambda now: decide_unplannable(now, problem, epoch=work.claim.epoch)
            )
        if isinstance(at.command, Ensure | Remove):
            return await self._perform(work, at, at.command, since)
        return await self._record(work, lambda _: [])

    # -- one effect -----------------------------------------------------------------------------

    async def _perform(
        self, work: Work, at: _Progress, command: Ensure | Remove, since: dict[str, float]
    ) -> _Progress:
        """Observe, and act if the observation requires it, within the adapter's concurrency.

        The slot is awaited before anything is recorded: a call has to begin with a fresh lease.
        """
        backend = self._find(command.adapter, at.state.saga)
        if isinstance(backend, Outcome):
            return await self._record_failure(work, at, command, backend)
        async with self._slots_for(command.adapter, backend):
            return await self._effect(work, at, command, since, backend)

    def _slots_for(self, adapter: str, backend: InstrumentedBackend) -> asyncio.Semaphore:
        if adapter not in self._slots:
            self._slots[adapter] = asyncio.Semaphore(backend.concurrency)
        return self._slots[adapter]

    async def _effect(
        self,
        work: Work,
        at: _Progress,
        command: Ensure | Remove,
        since: dict[str, float],
        backend: Backend,
    ) -> _Progress:
        call = self._call(work, command)
        seen = await self._observe(backend, call)
        if isinstance(seen, Outcome):
            return await self._record_failure(work, at, command, seen)
        previous = await self._observe_previous(backend, call, at.state, command, seen)
        if isinstance(previous, Outcome):
            return await self._record_failure(work, at, command, previous)
        epoch, overdue = work.claim.epoch, self._overdue(command, since)
        after = await self._record(
            work,
            lambda now: decide_observed(
                now, command, seen, epoch=epoch, overdue=overdue, previous=previous
            ),
        )
        if _is_started(at.state, after.state, command):
            outcome = await self._act(backend, command, call)
            return await self._record_failure(work, after, command, outcome)
        if _is_unchanged(at.state, after.state) and not _is_stuck(after.state):
            await self._clock.sleep(READY_POLL_SECONDS)
        return after

    async def _record_failure(
        self, work: Work, at: _Progress, command: Ensure | Remove, outcome: Outcome
    ) -> _Progress:
        """Record an effect that did not happen; any other result is only recorded once observed."""
        if outcome.result is not Result.NOT_DONE:
            return at
        epoch = work.claim.epoch
        return await self._record(
            work, lambda now: decide_outcome(now, command, outcome, epoch=epoch)
        )

    def _find(self, name: str, saga: Saga | None) -> InstrumentedBackend | Outcome:
        try:
            backend = self._adapters.find(name)
        except Exception as error:
            log.exception("adapter_not_loaded", adapter=name)
            detail = f"the adapter {name} cannot be loaded: {type(error).__name__}"
            return Outcome.not_done("adapter_failed", detail, permanent=False)
        if backend is None:
            detail = (
                f"the adapter {name} is not installed: install the package that provides it "
                "(entry point group busbar.adapters)"
            )
            return Outcome.not_done("no_adapter", detail, permanent=True)
        return InstrumentedBackend(backend, name, saga=saga, clock=self._clock)

    async def _observe(self, backend: Backend, call: Call) -> Observation | Outcome:
        try:
            async with asyncio.timeout(call.timeout):
                return await backend.observe(call)
        except BackendUnavailable as error:
            return Outcome.not_done(UNAVAILABLE, str(error) or "no answer", permanent=False)
        except OSError as error:  # its text has addresses, which may come from a secret
            detail = f"the backend does not answer ({type(error).__name__})"
            return Outcome.not_done(UNAVAILABLE, detail, permanent=False)
        except Exception as error:
            log.exception("adapter_failed", owner=call.owner)
            detail = f"the adapter could not observe: {type(error).__name__}"
            return Outcome.not_done("adapter_failed", detail, permanent=False)

    async def _observe_previous(
        self,
        backend: Backend,
        call: Call,
        state: ResourceState,
        command: Ensure | Remove,
        seen: Observation,
    ) -> Observation | Outcome | None:
        """Observe with the inputs applied before, if the new ones may name a different thing."""
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
            # A bug in an adapter says nothing about the outside world: observe it.
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

    async def _record(self, work: Work, decide: Decide) -> _Progress:
        """Store the facts of ``decide`` and those that need no effect, under the lease."""

        async def body(tx: Transaction) -> _Progress:
            stream = _stream(work.claim.name)
            state = await tx.load(stream, ResourceState(), evolve)
            at = _Progress.of(await _append(tx, stream, state, decide(state)))
            while isinstance(at.command, Finish):
                finished = decide_finished(at.state)
                at = _Progress.of(await _append(tx, stream, at.state, finished))
            if at.state.saga is None:
                await tx.tasks.finish(work.claim)
            return at

        return await work.record(body, reads=[_stream(work.claim.name)])

    async def _pause(self, work: Work, saga: Saga) -> None:
        wait = STUCK_RETRY_SECONDS if saga.stuck else self._backoff.after(saga.failures)

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
    """Return whether nothing was recorded about the operation in between."""
    old, new = before.saga, after.saga
    if old is None or new is None:
        return old is new
    return (old.intent.operation, old.recorded) == (new.intent.operation, new.recorded)


def _is_started(before: ResourceState, after: ResourceState, command: Ensure | Remove) -> bool:
    """Return whether this transaction recorded the intent to act."""
    was = before.saga.step(command.step) if before.saga else None
    step = after.saga.step(command.step) if after.saga else None
    return step is not None and step.status == "started" and step != was


def _is_stuck(state: ResourceState) -> bool:
    return state.saga is not None and state.saga.stuck


def _has_to_wait(before: ResourceState, after: ResourceState) -> bool:
    """Return whether an attempt failed, or a stuck operation is still blocked."""
    if before.saga is None or after.saga is None:
        return False
    if before.saga.intent.operation != after.saga.intent.operation:
        return False
    failed = after.saga.failures > before.saga.failures
    return failed or (after.saga.stuck and _is_unchanged(before, after))


def _stream(resource: str) -> str:
    return f"resource/{resource}"
