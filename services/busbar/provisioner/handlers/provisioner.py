"""Runs the sagas: observes, records the intent to act, acts, and records the result.

The intent is stored with the observation; the backend is called with a deterministic operation key
and the lease's epoch; the result is stored, fenced by it. An unknown one is observed, not guessed.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from functools import reduce

from busbar.backends.port import Backend, Call, Observation, Outcome, Result
from busbar.kernel.clock import Clock
from busbar.messages import topics
from busbar.messages.delayed import ResourceDelayed
from busbar.messages.intervention import (
    Intervened,
    InterventionAllowed,
    OperationAbandoned,
    ResourceReleased,
)
from busbar.messages.policy import IntentAllowed
from busbar.messages.resource import (
    ResourceDeleted,
    ResourceFailed,
    ResourceProvisioned,
    ResourceQueued,
    ResourceStuck,
    StepFailed,
    StepRetained,
    StepStarted,
    StepSucceeded,
    StepUndone,
)
from busbar.provisioner.adapters import (
    Adapters,
    Answer,
    Outside,
    act,
    observe,
    observe_previous,
    observe_refused,
    settles_at,
)
from busbar.provisioner.domain import (
    Effect,
    Ensure,
    Finish,
    Look,
    Remove,
    ResourceState,
    Saga,
    Turn,
    decide_finished,
    decide_intervention,
    decide_looked,
    decide_observed,
    decide_outcome,
    decide_queued,
    decide_unplannable,
    decide_waiting,
    evolve,
    needs_newer_epoch,
)
from busbar.provisioner.domain.progress import (
    Decide,
    Progress,
    has_to_wait,
    if_same,
    is_started,
    is_stuck,
    is_unchanged,
    nothing,
    stuck_wait,
)
from busbar.provisioner.handlers.discards import discard
from busbar.provisioner.handlers.recording import append, stream_of
from busbar.provisioner.telemetry import STUCK, STUCK_OPERATIONS, measure_end, note_stuck
from busbar.runtime.consume.service import Received, Service
from busbar.runtime.core.backoff import Backoff, Jitter, jitter
from busbar.runtime.personal import PersonalData
from busbar.runtime.store import Transaction
from busbar.runtime.tasks.runner import Work

EMITS = (
    ResourceQueued,
    StepStarted,
    StepSucceeded,
    StepFailed,
    StepUndone,
    StepRetained,
    OperationAbandoned,
    Intervened,
    ResourceReleased,
    ResourceDelayed,
    ResourceProvisioned,
    ResourceDeleted,
    ResourceFailed,
    ResourceStuck,
)

SAGA = "saga"
CONCURRENT_SAGAS = 256
"""Resources that a process works on concurrently."""
CALL_SHARE_OF_LEASE = 0.8
"""A call may take this share of the lease: it is over before another process may act."""
READY_POLL_SECONDS = 0.2
"""Interval between observations of a step that is applied and not ready yet."""
RETRY_BACKOFF = Backoff(first=1.0, longest=30.0)


class Provisioner:
    """Runs the sagas of every resource, one operation of a resource at a time.

    Effects go through ``adapters``; a call takes at most a share of ``lease`` (seconds). Retries
    are delayed with jitter from ``jitter``.
    """

    def __init__(
        self,
        adapters: Adapters,
        personal: PersonalData,
        *,
        clock: Clock,
        lease: float,
        jitter: Jitter = jitter,
    ) -> None:
        self._backoff = replace(RETRY_BACKOFF, jitter=jitter)
        self._outside = Outside(adapters, personal, clock=clock)
        self._clock = clock
        self._timeout = lease * CALL_SHARE_OF_LEASE

    def service(self) -> Service:
        """Return the service with its handlers registered."""
        service = Service("provisioner", emits=EMITS, executes=[topics.FACTS_POLICY])
        service.on(IntentAllowed, self.enqueue, stream=lambda allowed: stream_of(allowed.resource))
        service.on(InterventionAllowed, self.intervene, stream=lambda one: stream_of(one.resource))
        service.on_discard(discard)
        service.count(STUCK, STUCK_OPERATIONS)
        service.task(SAGA, self.run, concurrency=CONCURRENT_SAGAS, preload=self.preload)
        return service

    async def enqueue(self, received: Received[IntentAllowed], tx: Transaction) -> None:
        """Queue an allowed intent behind the others of its resource, and schedule its saga."""
        allowed, cause = received.message, tx.cause
        state = await tx.load(stream_of(allowed.resource), ResourceState(), evolve)
        facts = decide_queued(
            state,
            allowed,
            correlation=cause.correlation,
            traceparent=cause.traceparent,
            onbehalfof=cause.onbehalfof,
            allowed_at=received.envelope.time,
        )
        await tx.append(stream_of(allowed.resource), facts, key=allowed.resource)
        await tx.tasks.schedule(SAGA, allowed.resource)

    async def intervene(self, received: Received[InterventionAllowed], tx: Transaction) -> None:
        """Carry out an allowed intervention, and continue immediately with what it leaves to do."""
        allowed = received.message
        stream = stream_of(allowed.resource)
        state = await tx.load(stream, ResourceState(), evolve)
        facts = decide_intervention(state, allowed)
        await tx.append(stream, facts, key=allowed.resource)
        await note_stuck(tx, allowed.resource, state, reduce(evolve, facts, state))
        for fact in facts:
            for queued in state.waiting:
                if queued.operation == fact.operation:
                    measure_end(tx, fact, queued, state)
        await tx.tasks.schedule(SAGA, allowed.resource)

    async def preload(
        self, resources: Collection[str], tx: Transaction
    ) -> dict[str, ResourceState]:
        """Load the states of ``resources`` in the transaction that claims their sagas."""
        await tx.fetch([stream_of(resource) for resource in resources])
        return {
            resource: await tx.load(stream_of(resource), ResourceState(), evolve)
            for resource in resources
        }

    async def run(self, work: Work) -> None:
        """Work on one resource until nothing is left to do, or a retry is due later."""
        since: dict[str, float] = {}
        at = Progress.of(work.preloaded) if work.preloaded is not None else None
        if at is None or at.state.saga is None or isinstance(at.command, Finish):
            at = await self._record(work, nothing)
        while at.state.saga is not None:
            if await self._comes_later(work, at):
                return
            before, at = at.state, await self._advance(work, at, since)
            if at.state.saga is not None and has_to_wait(before, at.state):
                await self._pause(work, at.state.saga)
                return

    async def _comes_later(self, work: Work, at: Progress) -> bool:
        """Release the task if the next command needs a newer epoch, or has to wait for its time."""
        command = at.command
        if not isinstance(command, Ensure | Remove):
            return False
        if needs_newer_epoch(at.state, command, work.claim.epoch):
            await self._release(work, None)
            return True
        until = command.settles_at
        if until is None or until <= self._clock.now():
            return False
        await self._record(work, if_same(at, lambda now, turn: decide_waiting(now, command, turn)))
        await self._release(work, until)
        return True

    async def _release(self, work: Work, until: datetime | None) -> None:
        """Release the task until then; None: to be claimed now, under a newer epoch."""

        async def later(tx: Transaction) -> None:
            await tx.tasks.finish(work.claim, again=until or tx.now)

        await work.record(later)

    async def _advance(self, work: Work, at: Progress, since: dict[str, float]) -> Progress:
        if (problem := at.problem) is not None:
            return await self._record(
                work, if_same(at, lambda now, turn: decide_unplannable(now, problem, turn))
            )
        if isinstance(at.command, Ensure | Remove):
            return await self._perform(work, at, at.command, since)
        if isinstance(at.command, Look):
            return await self._look(work, at, at.command)
        return await self._record(work, nothing)

    # -- one effect -----------------------------------------------------------------------------

    async def _perform(
        self, work: Work, at: Progress, command: Effect, since: dict[str, float]
    ) -> Progress:
        """Observe, and act if the observation requires it, within the adapter's concurrency.

        The slot is awaited before anything is recorded: a call has to begin with a fresh lease.
        """
        backend = self._outside.find(command.adapter, at.state.saga)
        if isinstance(backend, Outcome):
            return await self._record_failure(work, at, command, backend)
        async with self._outside.slot(command.adapter, backend):
            return await self._effect(work, at, command, since, backend)

    async def _effect(
        self,
        work: Work,
        at: Progress,
        command: Effect,
        since: dict[str, float],
        backend: Backend,
    ) -> Progress:
        call = self._call(work, command)
        seen = await observe(backend, call, command.adapter)
        if isinstance(seen, Outcome):
            return await self._record_failure(work, at, command, seen)
        previous = await observe_previous(backend, call, at.state, command, seen)
        if isinstance(previous, Outcome):
            return await self._record_failure(work, at, command, previous)
        overdue = self._overdue(command, since)
        confirmed = at.confirmed == command.operation_key
        key, unanswered = at.unanswered or ("", None)
        last = unanswered if key == command.operation_key else None

        def around(turn: Turn) -> Turn:
            at_latest = settles_at(backend, turn.now, call.timeout)
            return replace(turn, confirmed=confirmed, settles_at=at_latest, unanswered=last)

        after = await self._record(
            work,
            if_same(
                at,
                lambda now, turn: decide_observed(
                    now, command, seen, around(turn), overdue=overdue, previous=previous
                ),
            ),
        )
        if is_started(at.state, after.state, command):
            outcome = await act(backend, command, call)
            if outcome.result is Result.DONE:
                return replace(after, confirmed=command.operation_key)
            if outcome.result is Result.UNKNOWN:
                return replace(after, unanswered=(command.operation_key, outcome))
            answer = Answer(
                outcome, seen, await observe_refused(backend, call, seen, command.adapter)
            )
            return await self._record_refusal(work, after, command, answer)
        if is_unchanged(at.state, after.state) and not is_stuck(after.state):
            await self._clock.sleep(READY_POLL_SECONDS)
        return replace(after, confirmed=at.confirmed, unanswered=at.unanswered)

    async def _record_refusal(
        self, work: Work, at: Progress, command: Effect, answer: Answer
    ) -> Progress:
        """Record that the backend refused; any other answer is only recorded once observed."""
        refusal, seen, after = answer.outcome, answer.seen, answer.after
        return await self._record(
            work,
            if_same(
                at,
                lambda now, turn: decide_outcome(
                    now, command, refusal, turn, answered=True, seen=seen, after=after
                ),
            ),
        )

    async def _record_failure(
        self, work: Work, at: Progress, command: Effect, failure: Outcome
    ) -> Progress:
        """Record that the backend could not be observed."""
        return await self._record(
            work, if_same(at, lambda now, turn: decide_outcome(now, command, failure, turn))
        )

    async def _look(self, work: Work, at: Progress, command: Look) -> Progress:
        """Observe a step that stays as it is; what cannot be observed is unknown."""
        found = self._outside.find(command.adapter, at.state.saga)
        seen: Observation | Outcome | None = None
        if not isinstance(found, Outcome):
            async with self._outside.slot(command.adapter, found):
                seen = await observe(found, self._call(work, command), command.adapter)
        known = seen if isinstance(seen, Observation) else None
        return await self._record(
            work, if_same(at, lambda now, turn: decide_looked(now, command, known, turn))
        )

    def _call(self, work: Work, command: Effect | Look) -> Call:
        return Call(
            owner=f"{work.claim.name}#{command.step}",
            inputs=command.inputs,
            operation_key="" if isinstance(command, Look) else command.operation_key,
            epoch=work.claim.epoch,
            timeout=self._timeout,
        )

    def _overdue(self, command: Effect, since: dict[str, float]) -> bool:
        if isinstance(command, Remove):
            return False
        now = self._clock.now().timestamp()
        return now - since.setdefault(command.operation_key, now) > command.ready_within

    # -- recording ------------------------------------------------------------------------------

    async def _record(self, work: Work, decide: Decide) -> Progress:
        """Store the facts of ``decide`` and those that need no effect, under the lease."""

        async def body(tx: Transaction) -> Progress:
            stream = stream_of(work.claim.name)
            state = await tx.load(stream, ResourceState(), evolve)
            turn = Turn(epoch=work.claim.epoch, now=tx.now)
            at = Progress.of(await append(tx, stream, state, decide(state, turn)))
            while isinstance(at.command, Finish):
                finished = decide_finished(at.state)
                at = Progress.of(await append(tx, stream, at.state, finished))
            if at.state.saga is None:
                await tx.tasks.finish(work.claim)
            return at

        return await work.record(body, reads=[stream_of(work.claim.name)])

    async def _pause(self, work: Work, saga: Saga) -> None:
        backoff = self._backoff.after(saga.failures)

        async def later(tx: Transaction) -> None:
            wait = backoff if saga.stuck is None else stuck_wait(saga.stuck, tx.now)
            await tx.tasks.finish(work.claim, again=tx.now + timedelta(seconds=wait))

        await work.record(later)
