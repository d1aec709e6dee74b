"""Follows the sequence and the digest chain of one relay through the copy."""

from bisect import bisect_right
from collections.abc import Callable, Mapping

from busbar.audit.domain.completeness import Discrepancy, Head, Problems, RelayReport

MAX_GAPS = 10_000
"""Gaps that are remembered, so that events that are stored out of order are found in them."""

Link = Callable[[str, str], str]
"""Returns the next link of a digest chain from the previous one and the digest of an event."""


class ChainCheck:
    """Takes the digests of a relay's events in the order of their sequence.

    An event that was published twice counts once. ``late`` are events that came after a higher
    number although they are not duplicates: a second check has to take them in their places.
    """

    def __init__(
        self, head: Head, *, genesis: str, link: Link, displaced: Mapping[int, str] = {}
    ) -> None:
        """Check up to ``head``; ``displaced`` are digests of events that will not come in order."""
        self.stored = 0
        self.late: dict[int, str] = {}
        self._head = head
        self._link = link
        self._digest = genesis
        self._displaced = displaced
        self._next = 1
        self._gaps: list[tuple[int, int]] = []
        self._more_gaps = 0

    def take(self, sequence: int, digest: str) -> None:
        """Take the event with this ``sequence``."""
        if sequence > self._head.sequence:
            return
        if sequence > self._next:
            self._take_displaced(sequence)
        if sequence < self._next:
            if self._is_missing(sequence):
                self.late[sequence] = digest
            return
        if sequence > self._next:
            self._add_gap(self._next, sequence - 1)
        self._follow(sequence, digest)

    def report(self, problems: Problems) -> RelayReport:
        """Return the result after the last event, and add what is wrong to ``problems``."""
        self._take_displaced(self._head.sequence + 1)
        if self._next <= self._head.sequence:
            self._add_gap(self._next, self._head.sequence)
            self._next = self._head.sequence + 1
        missing = tuple(self._gaps)
        matches = not missing and self._digest == self._head.digest
        for problem in self._problems(matches=matches):
            problems.add(problem)
        problems.more += self._more_gaps
        return RelayReport(self._head.relay, self._head.sequence, self.stored, missing, matches)

    def _take_displaced(self, before: int) -> None:
        while self._next < before and self._next in self._displaced:
            self._follow(self._next, self._displaced[self._next])

    def _follow(self, sequence: int, digest: str) -> None:
        self._digest = self._link(self._digest, digest)
        self._next = sequence + 1
        self.stored += 1

    def _add_gap(self, first: int, last: int) -> None:
        if len(self._gaps) < MAX_GAPS:
            self._gaps.append((first, last))
        else:
            self._more_gaps += 1

    def _is_missing(self, sequence: int) -> bool:
        place = bisect_right(self._gaps, (sequence, self._head.sequence)) - 1
        return place >= 0 and sequence <= self._gaps[place][1]

    def _problems(self, *, matches: bool) -> list[Discrepancy]:
        relay = self._head.relay
        if not self._gaps and not matches:
            return [
                Discrepancy(
                    "digest_differs",
                    f"the copy of {relay}'s events 1 to {self._head.sequence} does not have the "
                    "digest of its head: at least one event was changed",
                    {"relay": relay},
                )
            ]
        return [
            Discrepancy(
                "sequence_gap",
                f"{relay} published {_range(first, last)}, which the copy does not have",
                {"relay": relay, "first": first, "last": last},
            )
            for first, last in self._gaps
        ]


def _range(first: int, last: int) -> str:
    return f"event {first}" if first == last else f"events {first} to {last}"
