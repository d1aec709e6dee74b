"""The generation of a resource: folded alike by policy, which decides by it, and by every view.

A generation numbers an accepted desired state. The current one is that of the newest operation that
has not ended, or 0 if that is a deletion; without such an operation it is what the last one left:
the generation that was provisioned last, or 0 if nothing exists.
"""

from uuid import UUID

from pydantic import Field

from busbar.messages.base import Fact, Part
from busbar.messages.intervention import ResourceReleased
from busbar.messages.plan import Action
from busbar.messages.resource import ResourceDeleted, ResourceFailed, ResourceProvisioned

Settled = ResourceProvisioned | ResourceDeleted | ResourceFailed | ResourceReleased
"""The facts after which an operation is not pending any more."""


class PendingOperation(Part):
    """An operation that was accepted and has not ended."""

    operation: UUID
    action: Action
    generation: int


class Desired(Part):
    """The desired state of a resource: by pending operations, or as the last one left it."""

    pending: tuple[PendingOperation, ...] = Field(
        default=(), description="The operations that have not ended, oldest first."
    )
    settled: int = Field(
        default=0, description="The generation that the last operation left; 0 if nothing exists."
    )

    @property
    def generation(self) -> int:
        """The number that ``expected_generation`` is compared with; 0 if nothing is wanted."""
        if not self.pending:
            return self.settled
        return self.pending[-1].generation if self.pending[-1].action == "apply" else 0

    def accept(self, operation: UUID, action: Action, generation: int) -> "Desired":
        """Return this with an operation that was accepted."""
        new = PendingOperation(operation=operation, action=action, generation=generation)
        others = tuple(one for one in self.pending if one.operation != operation)
        return Desired(pending=(*others, new), settled=self.settled)

    def after(self, fact: Fact) -> "Desired":
        """Return this after ``fact``; only the end of an operation changes it."""
        if isinstance(fact, ResourceReleased):
            return Desired()
        if not isinstance(fact, ResourceProvisioned | ResourceDeleted | ResourceFailed):
            return self
        pending = tuple(one for one in self.pending if one.operation != fact.operation)
        return Desired(pending=pending, settled=_left_by(fact))


def _left_by(fact: ResourceProvisioned | ResourceDeleted | ResourceFailed) -> int:
    match fact:
        case ResourceProvisioned():
            return fact.generation
        case ResourceDeleted():
            return 0
        case ResourceFailed():
            return 0 if fact.left == "absent" else fact.observed_generation or fact.generation
