"""The layout of tables: columns if the terminal has the width, else a line for each value.

Nothing is ever cut off: text that does not fit into its column is folded.
"""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.markup import render
from rich.table import Table

_UNLIMITED_COLUMNS = 10_000
_GAP = 2
_NARROWEST = (4, 6, 8)
"""Into how many columns of one width the terminal is divided, to find the narrowest column; the
first that makes the table fit."""


def print_rows(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    widths: Sequence[int],
    heading: bool,
) -> list[int]:
    """Print one block and return the widths that its columns need."""
    texts = [
        [render(cell, emoji=False).plain for cell in cells]
        for cells in zip(columns, *rows, strict=True)
    ]
    needed = [max(width, *map(cell_len, cells)) for width, cells in zip(widths, texts, strict=True)]
    out = Console(highlight=False, emoji=False)
    if not out.is_terminal:
        out.width = _UNLIMITED_COLUMNS  # a file or a pipe has no width
    fitting = _fitting(needed, [_longest_word(cells) for cells in texts], out.width)
    if fitting is None:
        _print_records(out, columns, rows)
        return needed
    table = Table(box=None, pad_edge=False, show_header=heading)
    for column, width in zip(columns, fitting, strict=True):
        table.add_column(column, overflow="fold", width=width)
    for row in rows:
        table.add_row(*row)
    out.print(table)
    return needed


def _longest_word(cells: Sequence[str]) -> int:
    return max((cell_len(word) for cell in cells for word in cell.split()), default=0)


def _fitting(needed: Sequence[int], words: Sequence[int], width: int) -> list[int] | None:
    """Return the widths of columns that fit into ``width``; None if there are too many columns.

    The first column identifies the row: it is not folded, so that it can be copied.
    """
    space = width - _GAP * (len(needed) - 1)
    for divisor in _NARROWEST:
        least = [needed[0], *(min(word, width // divisor) for word in words[1:])]
        if sum(least) <= space:
            return _spread(least, needed, space - sum(least))
    return None


def _spread(least: Sequence[int], needed: Sequence[int], spare: int) -> list[int]:
    """Return ``least`` with what is ``spare`` spread over the columns that need more."""
    widths = list(least)
    while spare and (wanting := [at for at, width in enumerate(widths) if width < needed[at]]):
        share = max(spare // len(wanting), 1)
        for at in wanting:
            more = min(share, needed[at] - widths[at], spare)
            widths[at] += more
            spare -= more
    return widths


def _print_records(out: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print each row as lines of a name and a value."""
    names = max(map(len, columns))
    for row in rows:
        for name, value in zip(columns, row, strict=True):
            out.print(f"{name.ljust(names)}  {value}".rstrip(), soft_wrap=True)
        out.print()
