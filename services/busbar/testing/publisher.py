"""A publisher that records instead of publishing."""

from collections.abc import Awaitable, Callable, Sequence

from busbar.messages.envelope import Envelope
from busbar.runtime.core import encoding
from busbar.runtime.core.bus import BusUnavailable, Outgoing, Record


class RecordingPublisher:
    """Implements ``Publisher``; keeps what was published, and fails when a test wants it to."""

    def __init__(self) -> None:
        self.batches: list[list[Outgoing]] = []
        self.fail = 0
        """The number of next batches that raise without being published."""
        self.lose = 0
        """The number of next batches that are published, but raise as if the answer was lost."""
        self.before: Callable[[], Awaitable[None]] | None = None
        """Called before each batch."""

    @property
    def records(self) -> list[Outgoing]:
        """Every published record, in order."""
        return [record for batch in self.batches for record in batch]

    @property
    def envelopes(self) -> list[Envelope]:
        """Every published event, in order."""
        return [_envelope_of(record) for record in self.records]

    def of(self, *types: str) -> list[Envelope]:
        """Return the published events of these types."""
        return [envelope for envelope in self.envelopes if envelope.type in types]

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Record a batch.

        Raises:
            BusUnavailable: ``fail`` or ``lose`` is set.
        """
        if self.before is not None:
            await self.before()
        if self.fail:
            self.fail -= 1
            raise BusUnavailable("the broker is unreachable")
        self.batches.append(list(records))
        if self.lose:
            self.lose -= 1
            raise BusUnavailable("the answer was lost")


def _envelope_of(record: Outgoing) -> Envelope:
    found = encoding.read(
        Record(record.topic, 0, 0, 0, record.key, record.value, list(record.headers))
    )
    if not isinstance(found, Envelope):
        raise TypeError(f"{record} is not a readable event: {found}")
    return found
