"""What the engine has in hand, and what a transaction over it came to."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from busbar.messages.envelope import Envelope, Unreadable
from busbar.runtime.core.bus import Partition, Record

Offsets = dict[Partition, int]


class BatchItem(NamedTuple):
    """A record and what the codec made of it; None if it was passed over unread."""

    record: Record
    content: Envelope | Unreadable | None

    @property
    def partition(self) -> Partition:
        """Where the record was read."""
        return self.record.topic, self.record.partition

    @property
    def envelope(self) -> Envelope | None:
        """The event, if it was read and is one."""
        return self.content if isinstance(self.content, Envelope) else None


@dataclass(slots=True)
class BatchResult:
    """What a transaction came to: where partitions are now, what was handled, what failed."""

    moved: Offsets
    handled: int = 0
    failed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """Records by outcome, one of ``RECORD_OUTCOMES`` of ``telemetry/metrics.py``."""
