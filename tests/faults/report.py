"""The report ``build/faults.json``: a list of rows in a stable format."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One scenario under one seed: what was done to it, and what came of that.

    ``awaits`` counts the places at which a process can be stopped, ``single_kills`` those at which
    it was. The last four have to be zero.
    """

    scenario: str
    seed: int
    awaits: int = 0
    single_kills: int = 0
    double_kills: int = 0
    process_kills: int = 0
    lost: int = 0
    """Intents without exactly one last fact, effects that were promised and are not there."""
    duplicated: int = 0
    """Effects carried out twice, final facts published twice."""
    leaked: int = 0
    """What is left in the world that no resource accounts for."""
    stuck: int = 0
    """Operations that neither ended nor said why."""

    @property
    def held(self) -> bool:
        """Return whether nothing was lost, duplicated, leaked or stuck."""
        return not (self.lost or self.duplicated or self.leaked or self.stuck)

    def plus(self, **counts: int) -> "Row":
        """This row with ``counts`` added."""
        return replace(self, **{name: getattr(self, name) + n for name, n in counts.items()})


@dataclass(slots=True)
class Findings:
    """The violations, a sentence each, by the column of the report that counts them."""

    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any(self.sentences().values())

    def sentences(self) -> dict[str, list[str]]:
        """All of them, by their columns."""
        return asdict(self)

    def counts(self) -> dict[str, int]:
        """Return the number in each column."""
        return {column: len(found) for column, found in self.sentences().items()}


def write(rows: Iterable[Row], path: Path) -> None:
    """Write ``rows`` to ``path`` as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps([asdict(row) for row in rows], indent=2)
    path.write_text(text + "\n", encoding="utf-8")
