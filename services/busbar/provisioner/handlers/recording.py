"""Appends the facts of an operation, numbered and measured."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from busbar.messages.base import OperationFact
from busbar.provisioner.domain import ResourceState, Turn, evolve
from busbar.provisioner.domain.progress import Progress, joined_since
from busbar.provisioner.telemetry import measure_end, note_stuck
from busbar.runtime.store import Cause, Transaction

Decide = Callable[[ResourceState, Turn], Sequence[OperationFact]]


async def append(
    tx: Transaction, stream: str, state: ResourceState, facts: Sequence[OperationFact]
) -> ResourceState:
    """Append ``facts`` about operations that run or have joined; return the state after them."""
    for fact in facts:
        intent, recorded = state.recorded(fact.operation)
        cause = Cause(
            f"operation:{intent.resource}",
            str(intent.operation),
            intent.correlation,
            intent.traceparent,
        )
        tx.caused_by(cause, index=recorded)
        await tx.append(stream, [fact], key=intent.resource)
        measure_end(tx, fact, intent, state)
        before, state = state, evolve(state, fact)
        await note_stuck(tx, intent.resource, before, state)
    return state


def if_same(at: Progress, decide: Decide) -> Decide:
    """Return ``decide``, which decides nothing if an intervention came in between."""

    def same(now: ResourceState, turn: Turn) -> Sequence[OperationFact]:
        if now.doing != at.state.doing:
            return []
        return decide(now, replace(turn, joined_since=joined_since(at.state, now)))

    return same


def nothing(_state: ResourceState, _turn: Turn) -> Sequence[OperationFact]:
    """Decide nothing."""
    return []


def stream_of(resource: str) -> str:
    """Return the stream of ``resource``."""
    return f"resource/{resource}"
