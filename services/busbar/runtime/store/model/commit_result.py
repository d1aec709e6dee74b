"""The result of a committed transaction, as its listeners see it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from busbar.runtime.store.model.eager_claim import EagerClaim

Measure = Callable[[float], None]


@dataclass(slots=True)
class CommitResult:
    """Counts, tasks and measurements of a transaction, passed to listeners after the commit."""

    published: int = 0
    events: int = 0
    scheduled: set[str] = field(default_factory=set)
    claimed: list[EagerClaim] = field(default_factory=list)
    """Tasks that were claimed as they were scheduled."""
    measured: list[tuple[Measure, float]] = field(default_factory=list)
    """Measurements to record after the commit."""

    def mark(self) -> tuple[int, int, int, int]:
        """Return the state that :meth:`roll_back` takes."""
        return self.published, self.events, len(self.measured), len(self.claimed)

    def roll_back(self, mark: tuple[int, int, int, int]) -> None:
        """Drop what was written since ``mark``; ``scheduled`` stays, as waking up is harmless."""
        self.published, self.events, measured, claimed = mark
        del self.measured[measured:]
        for eager in self.claimed[claimed:]:
            eager.target.release()
        del self.claimed[claimed:]

    def record(self) -> None:
        """Record the measurements."""
        for measure, value in self.measured:
            measure(value)
