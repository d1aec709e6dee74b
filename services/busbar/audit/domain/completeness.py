"""Is the copy complete? Three questions, each answered by name.

1. Does every relay's sequence run from 1 to its head without a hole, and does the digest chain
   over what is stored end in the digest that the head promised?
2. Is every record that Kafka still has in the store, byte for byte?
3. Is every stored record still in Kafka, unless its topic may forget?
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
    """What a relay promised: so many events, with this digest over them."""

    relay: str
    sequence: int
    digest: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be; ``detail`` names it."""

    kind: Kind
    detail: str
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RelayReport:
    """How one relay's events are covered."""

    relay: str
    head: int
    stored: int
    missing: tuple[tuple[int, int], ...]
    digest_matches: bool


@dataclass(frozen=True, slots=True)
class Report:
    """The answer."""

    relays: tuple[RelayReport, ...]
    problems: tuple[Finding, ...]
    compared: int

    @property
    def complete(self) -> bool:
        """Whether nothing is missing and nothing differs."""
        return not self.problems


def compare(
    *,
    heads: Iterable[Head],
    sequences: Mapping[str, Collection[int]],
    digests: Mapping[tuple[str, int], str],
    stored: Mapping[Place, str],
    published: Mapping[Place, str],
    forgetful: Collection[str],
) -> Report:
    """Compare what was promised, what is stored and what is published.

    ``sequences`` are the stored sequence numbers by relay and ``digests`` the chain over them as
    computed from the copy, by relay and sequence (only up to the first hole). ``stored`` and
    ``published`` map places to digests of values; ``forgetful`` are topics with a retention.
    """
    relays, problems = [], []
    for head in sorted(heads, key=lambda head: head.relay):
        report = _relay(head, sequences.get(head.relay, ()), digests)
        relays.append(report)
        problems += _relay_problems(report)
    problems += _places(stored, published, forgetful)
    return Report(tuple(relays), tuple(problems), compared=len(published))


def _relay(
    head: Head, stored: Collection[int], digests: Mapping[tuple[str, int], str]
) -> RelayReport:
    missing = tuple(holes(stored, head.sequence))
    matches = not missing and digests.get((head.relay, head.sequence)) == head.digest
    return RelayReport(head.relay, head.sequence, len(set(stored)), missing, matches)


def holes(stored: Collection[int], head: int) -> list[tuple[int, int]]:
    """The ranges (first, last) between 1 and ``head`` that ``stored`` lacks."""
    found, expected = [], 1
    for number in [*sorted(set(stored)), head + 1]:
        if number > expected:
            found.append((expected, min(number - 1, head)))
        expected = max(expected, number + 1)
    return [hole for hole in found if hole[0] <= hole[1]]


def _relay_problems(report: RelayReport) -> list[Finding]:
    problems = [
        Finding(
            "sequence_gap",
            f"{report.relay} published {_range(first, last)}, which the copy does not have",
            {"relay": report.relay, "first": first, "last": last},
        )
        for first, last in report.missing
    ]
    if not report.missing and not report.digest_matches:
        problems.append(
            Finding(
                "digest_differs",
                f"the copy of {report.relay}'s events 1 to {report.head} does not give the digest "
                "that its head promised: at least one was changed",
                {"relay": report.relay},
            )
        )
    return problems


def _range(first: int, last: int) -> str:
    return f"event {first}" if first == last else f"events {first} to {last}"


def _places(
    stored: Mapping[Place, str], published: Mapping[Place, str], forgetful: Collection[str]
) -> list[Finding]:
    unknown = sorted(published.keys() - stored.keys())
    gone = sorted(place for place in stored.keys() - published.keys() if place[0] not in forgetful)
    both = sorted(stored.keys() & published.keys())
    changed = [place for place in both if stored[place] != published[place]]
    return [
        *(_at("missing_in_store", place, "Kafka has it, the copy does not") for place in unknown),
        *(_at("missing_in_kafka", place, "the copy has it, Kafka does not") for place in gone),
        *(_at("value_differs", place, "the copy and Kafka have other bytes") for place in changed),
    ]


def _at(kind: Kind, place: Place, sentence: str) -> Finding:
    topic, partition, offset = place
    return Finding(
        kind,
        f"{topic}, partition {partition}, offset {offset}: {sentence}",
        {"topic": topic, "partition": partition, "offset": offset},
    )
