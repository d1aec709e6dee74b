"""Saves the views of operations, and who may see each of them."""

from dataclasses import dataclass, replace
from typing import Any

from busbar.gateway.handlers.kinds import (
    OF,
    OPERATION,
    OPERATION_BY,
    OPERATION_OF,
    OPERATION_OF_NONE,
    UNDECIDED,
)
from busbar.kernel.clock import format_time
from busbar.messages.authority import Principal
from busbar.messages.base import Fact
from busbar.messages.delivery import DeadLettered
from busbar.messages.policy import IntentDenied
from busbar.messages.selection import team_of_owner
from busbar.messages.views import OperationView, evolve_operation
from busbar.runtime.store import Document, Transaction


@dataclass(frozen=True, slots=True)
class Audience:
    """Those who may see an operation: readers of what is ``team``'s, and the principal ``by``.

    The principal whose intent it is has to see that it is denied, also if it is not a member of
    the team that it has named, and if there is no team.
    """

    team: str | None = None
    by: str | None = None

    def joined(self, other: "Audience") -> "Audience":
        """Return this audience, completed by ``other``: what is known once does not change."""
        return Audience(self.team or other.team, self.by or other.by)


def audience_of(intent_team: str | None, principal: Principal) -> Audience:
    """Return who may see the operation of an intent about ``intent_team`` from ``principal``."""
    is_member = intent_team is not None and principal.is_member(intent_team)
    return Audience(intent_team, None if is_member else principal.name)


def _audience_after(fact: Fact, owner: str | None) -> Audience:
    """Return what ``fact`` says about who may see its operation."""
    # A dead letter has the key and the identity that its record claims, which is not verified.
    team = None if isinstance(fact, DeadLettered) else team_of_owner(owner)
    caller = getattr(fact, "caller", None)
    # What policy allows about a team comes from a member.
    is_by = caller is not None and (team is None or isinstance(fact, IntentDenied))
    return Audience(team, caller.principal if caller is not None and is_by else None)


async def project_operation(
    operation: str, fact: Fact, owner: str | None, time: str, tx: Transaction
) -> None:
    """Fold ``fact``, which belongs to ``owner``, into the view of ``operation``."""
    known = await tx.documents.get(OPERATION, operation)
    before = OperationView.model_validate(known["view"]) if known else None
    after = evolve_operation(before, fact, time=time)
    if before is not None and before.status == "received" and before != after:
        await tx.documents.remove(UNDECIDED, operation)
    if after is None:
        return
    seen = Audience(known.get("team"), known.get("by")) if known else None
    audience = (seen or Audience()).joined(_audience_after(fact, owner))
    if after != before or audience != seen:
        await put_operation(after, audience, tx, known=known)


async def put_operation(
    view: OperationView, audience: Audience, tx: Transaction, *, known: Any = None
) -> None:
    """Save the view; operations are listed in the order in which the gateway first saw them.

    ``known`` is what was saved before, if anything was.
    """
    rank = known["rank"] if known else f"{format_time(tx.now)}/{view.id}"
    seen = Audience(known.get("team"), known.get("by")) if known else None
    value = {"view": view.model_dump(mode="json"), "rank": rank}
    value |= {"team": audience.team} if audience.team else {}
    value |= {"by": audience.by} if audience.by else {}
    await tx.documents.put(
        Document(kind=OPERATION, key=view.id, parent=view.resource or "", rank=rank, value=value)
    )
    if audience != seen:
        await _index(view.id, rank, audience, seen, tx)


async def _index(
    operation: str, rank: str, audience: Audience, seen: Audience | None, tx: Transaction
) -> None:
    entry = Document(kind=OPERATION_OF, key=operation, rank=rank, value={OF: operation})
    if audience.team is None:
        if seen is None:
            await tx.documents.put(replace(entry, kind=OPERATION_OF_NONE))
    elif seen is None or seen.team is None:
        await tx.documents.put(replace(entry, parent=audience.team))
        if seen is not None:
            await tx.documents.remove(OPERATION_OF_NONE, operation)
    if audience.by is not None and (seen is None or seen.by is None):
        await tx.documents.put(replace(entry, kind=OPERATION_BY, parent=audience.by))
