"""Renders the status for people, and converts it for programs."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from busbar.cli.shared import unsigned
from busbar.cli.shared.output import plain
from busbar.cli.status.overview import Outcomes, Overview, ProcessStatus
from busbar.kernel.text import counted

UNKNOWN = "-"
WARN_LAG_SECONDS, WARN_TASK_SECONDS, WARN_GUARD_SECONDS = 10.0, 60.0, 5.0
"""Values from which on a number is shown in yellow."""

WIDE_COLUMNS = 118
"""Width of a terminal that fits every column."""

CellText = Callable[[ProcessStatus], str]


@dataclass(frozen=True, slots=True)
class _Column:
    """A column; only those with ``always`` are shown in narrow terminals."""

    name: str
    cell: CellText
    always: bool = True


_COLUMNS: Final = (
    _Column("process", lambda one: f"[bold]{plain(one.name)}[/]"),
    _Column("", lambda one: "[green]ready[/]" if one.ready else "[red]not ready[/]"),
    _Column("records/s", lambda one: _number(one.records_per_second)),
    _Column("lag", lambda one: _seconds(one.lag_seconds, warn=WARN_LAG_SECONDS)),
    _Column("behind", lambda one: _count(one.lag_records), always=False),
    _Column("parked", lambda one: _count(one.parked_keys, bad=True)),
    _Column("retries/s", lambda one: _number(one.retries_per_second, bad=True), always=False),
    _Column("published/s", lambda one: _number(one.published_per_second), always=False),
    _Column("unpublished", lambda one: _count(one.backlog_events)),
    _Column("running", lambda one: _count(one.tasks_running), always=False),
    _Column("due", lambda one: _count(one.tasks_due)),
    _Column("oldest", lambda one: _seconds(one.oldest_due_seconds, warn=WARN_TASK_SECONDS)),
    _Column(
        "guard", lambda one: _seconds(one.guard_lag_seconds, warn=WARN_GUARD_SECONDS), always=False
    ),
)


def render(found: Overview, *, width: int = WIDE_COLUMNS) -> RenderableType:
    """Return one screen, for a terminal of ``width`` columns."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    columns = [column for column in _COLUMNS if column.always or width >= WIDE_COLUMNS]
    for number, column in enumerate(columns):
        table.add_column(column.name, justify="right" if number > 1 else "left", no_wrap=True)
    for process in found.processes:
        table.add_row(*(column.cell(process) for column in columns))
    return Group(table, Text(""), _outcome_table(found), *_notes(found))


def as_json(found: Overview) -> dict[str, Any]:
    """Return the status as JSON: seconds, events per second, null for unknown values."""
    return asdict(found)


def _outcome_table(found: Overview) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, outcomes in (
        ("decisions", found.decisions),
        ("operations", found.operations),
        ("webhooks", found.webhooks),
    ):
        table.add_row(f"[dim]{name}[/]", _outcome_line(outcomes))
    return table


def _outcome_line(outcomes: Outcomes) -> str:
    if not outcomes.total:
        return "[dim]none since it started[/]" if outcomes.known else UNKNOWN
    return "   ".join(
        f"{plain(outcome)} [bold]{_number(outcomes.per_second.get(outcome))}[/]/s"
        f" [dim]({_count(total)} total)[/]"
        for outcome, total in sorted(outcomes.total.items())
    )


def _notes(found: Overview) -> Iterator[RenderableType]:
    """List what needs attention: what is broken or waits, and which processes are not ready."""
    if found.accepts_unsigned:
        yield Text.from_markup(f"[red]{unsigned.MEANING}[/]; to turn it off: {unsigned.FIX}")
    if found.broken_promises:
        yield Text.from_markup(
            f"[red]broken promises[/]: {_count(found.broken_promises)}; see `busbar get promises`"
        )
    if found.stuck_operations:
        yield Text.from_markup(
            f"[red]stuck operations[/]: {_count(found.stuck_operations)};"
            " see `busbar get operations --status stuck`"
        )
    waiting = found.waiting_operations - found.stuck_operations
    if waiting > 0:
        yield Text.from_markup(
            f"[yellow]waiting for their next attempt[/]: {counted(waiting, 'operation')};"
            " see `busbar get operations --status running`"
        )
    if found.waiting_deliveries:
        deliveries = counted(found.waiting_deliveries, "delivery", "deliveries")
        yield Text.from_markup(
            f"[yellow]waiting for their next attempt[/]: {deliveries};"
            " see `busbar subscription attempts TEAM/NAME --status retrying`"
        )
    parked = sum(one.parked_keys or 0 for one in found.processes)
    if parked:
        yield Text.from_markup(
            f"[red]parked ordering keys[/]: {_count(parked)}; see `busbar dead-letters list`"
        )
    for one in found.processes:
        if one.problem:
            yield Text.from_markup(f"[red]{plain(one.name)}[/]: {plain(one.problem)}")
        elif one.lag_seconds is None and one.records_per_second is None:
            yield Text.from_markup(
                f"[yellow]{plain(one.name)}[/]: it exposes no metrics (BUSBAR_METRICS is false)"
            )


def _number(value: float | None, *, bad: bool = False) -> str:
    if value is None:
        return UNKNOWN
    shown = f"{value:.1f}" if value < 100 else f"{value:,.0f}"  # noqa: PLR2004 - three digits
    return f"[yellow]{shown}[/]" if bad and value else shown


def _count(value: float | None, *, bad: bool = False) -> str:
    if value is None:
        return UNKNOWN
    return f"[yellow]{value:,.0f}[/]" if bad and value else f"{value:,.0f}"


def _seconds(value: float | None, *, warn: float) -> str:
    if value is None:
        return UNKNOWN
    minutes, hours = 60, 3600
    shown = f"{value:.1f} s"
    if value >= hours:
        shown = f"{value / hours:.1f} h"
    elif value >= 2 * minutes:
        shown = f"{value / minutes:.1f} min"
    return f"[yellow]{shown}[/]" if value >= warn else shown
