"""Appends the facts of an operation, numbered and measured."""

from collections.abc import Sequence

from busbar.messages.base import OperationFact
from busbar.provisioner.domain import ResourceState, evolve
from busbar.provisioner.telemetry import measure_end, note_stuck
from busbar.runtime.store import Cause, Transaction


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
            intent.onbehalfof,
        )
        tx.caused_by(cause, index=recorded)
        await tx.append(stream, [fact], key=intent.resource)
        measure_end(tx, fact, intent, state)
        before, state = state, evolve(state, fact)
        await note_stuck(tx, intent.resource, before, state)
    return state


def stream_of(resource: str) -> str:
    """Return the stream of ``resource``."""
    return f"resource/{resource}"
