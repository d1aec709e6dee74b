"""Compares one partition of Kafka with the copy of it, in the order of the offsets."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from busbar.audit.domain.completeness import Discrepancy, Kind, Problems


class Published(NamedTuple):
    """A record as Kafka has it: its offset and the digest of its value."""

    offset: int
    digest: str


class Stored(NamedTuple):
    """A record as the copy has it; ``early`` if it was stored before the comparison began."""

    offset: int
    digest: str
    early: bool


class PartitionComparison:
    """Takes the records of both sides as they are read and names what only one of them has.

    The copy is in the order in which audit stored it, which is that of the offsets except for
    records that were stored again later (a dead letter that was redriven).
    """

    def __init__(self, topic: str, partition: int, *, expires: bool, problems: Problems) -> None:
        """Add what is wrong to ``problems``; if it ``expires``, Kafka may lack old records."""
        self.compared = 0
        self._expires = expires
        self._ranges = {kind: _Ranges(kind, topic, partition, problems) for kind in _SENTENCES}
        self._absent: dict[int, str] = {}
        self._found: set[int] = set()

    def take(self, published: Sequence[Published], stored: deque[Stored]) -> int:
        """Compare ``published`` with ``stored`` and return how many were compared.

        Fewer than all means that ``stored``, which is consumed, is used up.
        """
        for number, (offset, digest) in enumerate(published):
            while stored and stored[0].offset < offset:
                self._only_stored(stored.popleft())
            if not stored:
                return number
            self.compared += 1
            if stored[0].offset == offset:
                self._both(offset, digest, stored.popleft().digest)
            else:
                self._absent[offset] = digest
        return len(published)

    def lack(self, published: Published) -> None:
        """Note that the copy ended before ``published``."""
        self.compared += 1
        self._absent[published.offset] = published.digest

    @property
    def absent(self) -> tuple[int, ...]:
        """The offsets that were not in their place in the copy: look for them elsewhere in it."""
        return tuple(self._absent)

    def resolve(self, found: Mapping[int, str]) -> None:
        """Name as missing what is absent, except for what was ``found`` elsewhere in the copy."""
        for offset, digest in self._absent.items():
            if offset in found:
                self._found.add(offset)
                self._both(offset, digest, found[offset])
            else:
                self._ranges["missing_in_store"].add(offset)
        self._absent.clear()

    def finish(self, stored: deque[Stored]) -> None:
        """Take the records of the copy that follow the last one of Kafka."""
        while stored:
            record = stored.popleft()
            if record.early or record.offset in self._absent:
                self._only_stored(record)

    def close(self) -> None:
        """Name the last problems."""
        for ranges in self._ranges.values():
            ranges.close()

    def _both(self, offset: int, published: str, stored: str) -> None:
        if published != stored:
            self._ranges["value_differs"].add(offset)

    def _only_stored(self, record: Stored) -> None:
        published = self._absent.pop(record.offset, None)
        if published is not None:
            self._both(record.offset, published, record.digest)
        elif record.offset not in self._found and not self._expires:
            self._ranges["missing_in_kafka"].add(record.offset)


_SENTENCES: Mapping[Kind, str] = {
    "missing_in_store": "Kafka has {it}, the copy does not",
    "missing_in_kafka": "the copy has {it}, Kafka does not",
    "value_differs": "the copy and Kafka have other bytes",
}


class _Ranges:
    """Joins offsets that follow one another to one problem."""

    def __init__(self, kind: Kind, topic: str, partition: int, problems: Problems) -> None:
        self._kind: Kind = kind
        self._place = (topic, partition)
        self._problems = problems
        self._open: tuple[int, int] | None = None

    def add(self, offset: int) -> None:
        if self._open is not None and self._open[1] + 1 == offset:
            self._open = (self._open[0], offset)
        else:
            self.close()
            self._open = (offset, offset)

    def close(self) -> None:
        if self._open is None:
            return
        (topic, partition), (first, last) = self._place, self._open
        single = first == last
        offsets = f"offset {first}" if single else f"offsets {first} to {last}"
        sentence = _SENTENCES[self._kind].format(it="it" if single else "them")
        about = {"topic": topic, "partition": partition, "first": first, "last": last}
        self._problems.add(
            Discrepancy(self._kind, f"{topic}, partition {partition}, {offsets}: {sentence}", about)
        )
        self._open = None
