"""The items of a batch, and the result of a transaction over them."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from busbar.messages.envelope import Envelope, Unreadable
from busbar.runtime.core.bus import Partition, Record

Offsets = dict[Partition, int]


class BatchItem(NamedTuple):
    """A record with its decoded content; None if it was skipped without decoding."""

    record: Record
    content: Envelope | Unreadable | None

    @property
    def partition(self) -> Partition:
        """The partition that the record was read from."""
        return self.record.topic, self.record.partition

    @property
    def envelope(self) -> Envelope | None:
        """The event, if the record was decoded and is a valid CloudEvent."""
        return self.content if isinstance(self.content, Envelope) else None


@dataclass(slots=True)
class BatchResult:
    """The result of a transaction: next offsets, and counts of handled and failed records."""

    moved: Offsets
    handled: int = 0
    failed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """Records by outcome, one of ``RECORD_OUTCOMES`` of ``telemetry/metrics.py``."""
