"""Output is printed exactly as it is, even where a library sees markup or emoji in it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from busbar.cli.shared import output
from busbar.cli.shared.output import (
    Output,
    console,
    errors,
    plain,
    print_json,
    print_json_items,
    print_long_table,
    print_table,
)
from busbar.cli.shared.progress import DelayedStatus, describe
from busbar.messages.catalogue import MESSAGES
from busbar.messages.http import Progress
from unit.sdk.running import Run


def test_foreign_text_becomes_no_picture_and_no_markup(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = "secret:a: [red]payments[/red] :bug:"
    console().print(plain(said))
    errors().print(plain(said))
    print_table(("what",), [(plain(said),)])
    printed = capsys.readouterr()
    assert printed.out.count(said) == 2
    assert printed.err.count(said) == 1


async def one_by_one(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item


@pytest.mark.parametrize("items", [[], [{"a": 1}], [{"a": ["\n", {"b": "x\ny"}]}, 2, []]])
async def test_items_are_printed_as_the_list_of_them_would_be(
    capsys: pytest.CaptureFixture[str], items: list[Any]
) -> None:
    await print_json_items(one_by_one(*items))
    printed = capsys.readouterr().out
    print_json(items)
    assert printed == capsys.readouterr().out
    assert json.loads(printed) == items


async def test_a_long_table_is_printed_in_blocks_under_one_heading(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "BLOCK_ROWS", 2)
    rows = [(f"[green]row {number}[/]", "x" * 12) for number in range(5)]
    assert await print_long_table(("name", "detail"), one_by_one(*rows))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["name", *(f"row {n}" for n in range(5))]
    assert len({line.index("x") for line in lines[1:]}) == 1
    assert not await print_long_table(("name", "detail"), one_by_one())
    assert capsys.readouterr().out == ""


def test_progress_is_shown_with_a_rate_and_the_time_left() -> None:
    begun = Progress(what="facts", done=2_900, total=54_000)
    now = Progress(what="facts", done=12_000, total=54_000)
    assert describe(now, since=begun, seconds=1) == "12,000 of 54,000 facts · 9,100/s · 5 s left"
    assert describe(now, since=now, seconds=1) == "12,000 of 54,000 facts"
    assert describe(now, since=begun, seconds=0) == "12,000 of 54,000 facts"
    slow = describe(now, since=begun, seconds=200)
    assert slow.endswith("· 46/s · 15 min 23 s left")
    assert describe(now, since=begun, seconds=9100).endswith("· 1/s · 11 h 40 min left")
    unknown = Progress(what="items read", done=500, total=None)
    begin = Progress(what="items read", done=0, total=None)
    assert describe(unknown, since=begin, seconds=2) == "500 items read · 250/s"


@pytest.mark.parametrize("form", list(Output))
async def test_progress_is_not_shown_where_no_terminal_is(
    capsys: pytest.CaptureFixture[str], form: Output
) -> None:
    async with DelayedStatus(form, delay=0) as status:
        status.progress(Progress(what="facts", done=1, total=2))
        await output_of_others()
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")


async def test_progress_is_shown_on_a_terminal_unless_programs_read_the_output(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    for form in Output:
        async with DelayedStatus(form, delay=0) as status:
            status.progress(Progress(what="facts", done=1, total=2))
            await output_of_others()
        printed = capsys.readouterr()
        assert printed.out == ""
        assert ("1 of 2 facts" in printed.err) is (form is Output.TABLE)


async def output_of_others() -> None:
    """Let everything run that is due."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 240])
@pytest.mark.parametrize("columns", [2, 4, 7])
def test_a_table_loses_nothing_however_narrow_the_terminal_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int, columns: int
) -> None:
    for name, value in (("FORCE_COLOR", "1"), ("NO_COLOR", "1"), ("COLUMNS", str(width))):
        monkeypatch.setenv(name, value)
    names = [f"column{number}" for number in range(columns)]
    rows = [[f"{'abcdefg'[at] * 33}{row} end{at}{row}" for at in range(columns)] for row in "xy"]
    print_table(names, rows)
    printed = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    text = "".join(printed.split())
    for at in range(columns):
        assert all(f"{'abcdefg'[at] * 3}" in text and f"end{at}{row}" in text for row in "xy")
        assert text.count("abcdefg"[at]) >= 2 * 33
    is_table = all(name in printed.splitlines()[0] for name in names)
    if is_table:
        assert max(map(len, printed.splitlines())) <= width
    assert is_table == (width >= {2: 60, 4: 80, 7: 240}[columns])


def test_what_goes_into_a_pipe_is_one_line_a_row(busbar: Run) -> None:
    lines = busbar("schema", "list").stdout.splitlines()
    assert len(lines) == len(MESSAGES) + 1
