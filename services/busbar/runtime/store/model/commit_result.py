"""What a transaction leaves to those who wait for its commit."""

from collections.abc import Callable
from dataclasses import dataclass, field

from busbar.runtime.store.model.eager_claim import EagerClaim

Measure = Callable[[float], None]


@dataclass(slots=True)
class CommitResult:
    """What a transaction wrote, told to whoever waits for it after the commit."""

    published: int = 0
    events: int = 0
    scheduled: set[str] = field(default_factory=set)
    taken: list[EagerClaim] = field(default_factory=list)
    """The tasks that were taken as they were scheduled."""
    measured: list[tuple[Measure, float]] = field(default_factory=list)
    """What is to be counted once it is committed."""

    def so_far(self) -> tuple[int, int, int, int]:
        """What :meth:`back_to` takes to forget what comes after this."""
        return self.published, self.events, len(self.measured), len(self.taken)

    def back_to(self, so_far: tuple[int, int, int, int]) -> None:
        """Forget what was written since; what was scheduled stays, as waking up is harmless."""
        self.published, self.events, measured, taken = so_far
        del self.measured[measured:]
        for one in self.taken[taken:]:
            one.taker.release()
        del self.taken[taken:]

    def tell(self) -> None:
        """Count what was measured: it is committed now."""
        for measure, value in self.measured:
            measure(value)
