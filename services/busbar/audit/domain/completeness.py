"""Checks that the copy is complete, and names everything that is missing or differs.

1. Every relay's sequence runs from 1 to its head without a gap, and the digest chain over the
   stored records ends in the digest of the head.
2. Every record that Kafka has is stored, byte for byte.
3. Every stored record is in Kafka, unless its topic has a limited retention.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Place = tuple[str, int, int]
"""Topic, partition, offset."""

Kind = Literal[
    "sequence_gap", "digest_differs", "missing_in_store", "missing_in_kafka", "value_differs"
]


@dataclass(frozen=True, slots=True)
class Head:
    """The number of events that a relay has published, and the digest over them."""

    relay: str
    sequence: int
    digest: str


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One record or range that is missing or differs; ``detail`` names it."""

    kind: Kind
    detail: str
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RelayReport:
    """The coverage of one relay's events by the copy."""

    relay: str
    head: int
    stored: int
    missing: tuple[tuple[int, int], ...]
    digest_matches: bool


@dataclass(frozen=True, slots=True)
class Report:
    """The result of the comparison."""

    relays: tuple[RelayReport, ...]
    problems: tuple[Discrepancy, ...]
    compared: int

    @property
    def complete(self) -> bool:
        """True if nothing is missing and nothing differs."""
        return not self.problems


def compare(
    *,
    heads: Iterable[Head],
    sequences: Mapping[str, Collection[int]],
    digests: Mapping[tuple[str, int], str],
    stored: Mapping[Place, str],
    published: Mapping[Place, str],
    expiring: Collection[str],
) -> Report:
    """Compare the heads of relays, the stored records and the published records.

    ``sequences`` are the stored sequence numbers by relay and ``digests`` the chain over them as
    computed from the copy, by relay and sequence (only up to the first gap). ``stored`` and
    ``published`` map places to digests of values; ``expiring`` are topics with a retention.
    """
    relays, problems = [], []
    for head in sorted(heads, key=lambda head: head.relay):
        report = _relay(head, sequences.get(head.relay, ()), digests)
        relays.append(report)
        problems += _relay_problems(report)
    problems += _places(stored, published, expiring)
    return Report(tuple(relays), tuple(problems), compared=len(published))


def _relay(
    head: Head, stored: Collection[int], digests: Mapping[tuple[str, int], str]
) -> RelayReport:
    missing = tuple(gaps(stored, head.sequence))
    matches = not missing and digests.get((head.relay, head.sequence)) == head.digest
    return RelayReport(head.relay, head.sequence, len(set(stored)), missing, matches)


def gaps(stored: Collection[int], head: int) -> list[tuple[int, int]]:
    """Return the ranges (first, last) between 1 and ``head`` that ``stored`` lacks."""
    found, expected = [], 1
    for number in [*sorted(set(stored)), head + 1]:
        if number > expected:
            found.append((expected, min(number - 1, head)))
        expected = max(expected, number + 1)
    return [gap for gap in found if gap[0] <= gap[1]]


def _relay_problems(report: RelayReport) -> list[Discrepancy]:
    problems = [
        Discrepancy(
            "sequence_gap",
            f"{report.relay} published {_range(first, last)}, which the copy does not have",
            {"relay": report.relay, "first": first, "last": last},
        )
        for first, last in report.missing
    ]
    if not report.missing and not report.digest_matches:
        problems.append(
            Discrepancy(
                "digest_differs",
                f"the copy of {report.relay}'s events 1 to {report.head} does not have the digest "
                "of its head: at least one event was changed",
                {"relay": report.relay},
            )
        )
    return problems


def _range(first: int, last: int) -> str:
    return f"event {first}" if first == last else f"events {first} to {last}"


def _places(
    stored: Mapping[Place, str], published: Mapping[Place, str], expiring: Collection[str]
) -> list[Discrepancy]:
    unknown = sorted(published.keys() - stored.keys())
    gone = sorted(place for place in stored.keys() - published.keys() if place[0] not in expiring)
    both = sorted(stored.keys() & published.keys())
    changed = [place for place in both if stored[place] != published[place]]
    return [
        *(_at("missing_in_store", place, "Kafka has it, the copy does not") for place in unknown),
        *(_at("missing_in_kafka", place, "the copy has it, Kafka does not") for place in gone),
        *(_at("value_differs", place, "the copy and Kafka have other bytes") for place in changed),
    ]


def _at(kind: Kind, place: Place, sentence: str) -> Discrepancy:
    topic, partition, offset = place
    return Discrepancy(
        kind,
        f"{topic}, partition {partition}, offset {offset}: {sentence}",
        {"topic": topic, "partition": partition, "offset": offset},
    )
