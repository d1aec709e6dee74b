"""The report ``build/bench.json``: a list of rows in a stable format."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.goals import GOALS


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure beside the limit that was measured in the same run; null where there is none."""

    name: str
    value: float
    unit: str
    limit_name: str | None = None
    limit_value: float | None = None
    ratio: float | None = None

    @classmethod
    def beside(cls, name: str, value: float, unit: str, limit: tuple[str, float]) -> "Row":
        """``value`` as a share of ``limit``, a name and what it reached."""
        limit_name, limit_value = limit
        return cls(
            name=name,
            value=value,
            unit=unit,
            limit_name=limit_name,
            limit_value=limit_value,
            ratio=value / limit_value,
        )


def write(rows: Iterable[Row], path: Path) -> None:
    """Write ``rows`` to ``path`` as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps([asdict(row) for row in rows], indent=2)
    path.write_text(text + "\n", encoding="utf-8")


HEADINGS = ("name", "value", "unit", "limit", "its value", "ratio", "goal", "reached")


def table(rows: Sequence[Row]) -> str:
    """The rows for people, with what they are to reach."""
    cells = [HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[n]) for line in cells) for n in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _cells(row: Row) -> tuple[str, ...]:
    goal = GOALS[row.name]
    reached = goal.is_reached(value=row.value, ratio=row.ratio)
    return (
        row.name,
        _number(row.value),
        row.unit,
        row.limit_name or "-",
        _number(row.limit_value),
        "-" if row.ratio is None else f"{row.ratio:.3f}",
        goal.text or "-",
        "-" if reached is None else ("yes" if reached else "no"),
    )


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return (
        f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.3f}"
    )
