"""Ends the operation of a decision that could not be queued, and whose record is discarded."""

from pydantic import ValidationError

from busbar.kernel.errors import Reject
from busbar.provisioner.domain import ResourceState, evolve
from busbar.provisioner.domain.discards import DiscardedDecision, decide_discarded
from busbar.provisioner.handlers.recording import stream_of
from busbar.runtime.consume.service import Discarded
from busbar.runtime.store import Transaction


async def discard(discarded: Discarded, tx: Transaction) -> bool:
    """End the operation that a decision of policy allowed, unless it was queued after all.

    Raises:
        Reject: the record does not say which resource it is about.
    """
    try:
        decision = DiscardedDecision.model_validate(discarded.envelope.data)
    except ValidationError as error:
        what = "its record does not say what to end: deploy a release that can read it"
        raise Reject("unreadable_decision", what) from error
    stream = stream_of(decision.resource)
    state = await tx.load(stream, ResourceState(), evolve)
    facts = decide_discarded(state, decision, by=discarded.by)
    await tx.append(stream, facts, key=decision.resource)
    return bool(facts)
