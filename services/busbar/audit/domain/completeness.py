"""The report on whether the copy is complete: everything that is missing or differs, by name.

1. Every relay's sequence runs from 1 to its head without a gap, and the digest chain over the
   stored records ends in the digest of the head.
2. Every record that Kafka has is stored, byte for byte.
3. Every stored record is in Kafka, unless its topic has a limited retention.
4. Every head is signed by its service.

``comparison.py`` checks 2 and 3 for one partition, ``chains.py`` checks 1 for one relay, and
``heads.py`` checks 4. All take records one after the other and keep none of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Place = tuple[str, int, int]
"""Topic, partition, offset."""

Kind = Literal[
    "sequence_gap",
    "digest_differs",
    "missing_in_store",
    "missing_in_kafka",
    "value_differs",
    "head_not_signed",
    "head_forged",
    "head_altered",
    "head_unknown_key",
    "head_foreign_key",
    "head_revoked_key",
]

MAX_PROBLEMS = 1000
"""Problems that a report names; the others are counted, so that a report is of limited size."""


@dataclass(frozen=True, slots=True)
class Head:
    """The number of events that a relay has published, and the digest over them."""

    relay: str
    sequence: int
    digest: str


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A range of records that are missing or differ; ``detail`` names it."""

    kind: Kind
    detail: str
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RelayReport:
    """The coverage of one relay's events by the copy, and how many of its heads are verified."""

    relay: str
    head: int
    stored: int
    missing: tuple[tuple[int, int], ...]
    digest_matches: bool
    heads: int = 0
    heads_verified: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """The result of the comparison; ``more`` counts the problems that are not listed."""

    relays: tuple[RelayReport, ...]
    problems: tuple[Discrepancy, ...]
    more: int
    compared: int

    @property
    def complete(self) -> bool:
        """True if nothing is missing and nothing differs."""
        return not self.problems


class Problems:
    """Collects problems: the first ones by name, the number of all others."""

    def __init__(self, *, most: int = MAX_PROBLEMS) -> None:
        self._most = most
        self.listed: list[Discrepancy] = []
        self.more = 0

    def add(self, problem: Discrepancy) -> None:
        """Add ``problem`` to those that are listed, or count it."""
        if len(self.listed) < self._most:
            self.listed.append(problem)
        else:
            self.more += 1
