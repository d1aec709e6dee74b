"""Every ``busbar …`` in documentation and messages exists, with its options."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from meta.checkout import ROOT, below, place, text
from meta.markdown import blocks, inline_code

SHELLS = frozenset({"", "sh", "shell", "bash", "console", "text"})
WORD = re.compile(r"[a-z][a-z-]*")
OPTION = re.compile(r"--?[a-zA-Z][a-zA-Z-]*")
IN_SENTENCE = re.compile(r"`(?P<command>busbar [^`\n{]+)`")
OF_THE_ROOT = frozenset({"--as", "--key", "--token-file", "--url", "--home"})
"""Options that stand before a command, with their value."""
END = frozenset({"|", "||", "&&", ">", ">>", "<", ";", "#", "&", "…", "..."})


@cache
def root() -> Any:
    import typer  # noqa: PLC0415 - only the commands need it

    from busbar.cli.app import app  # noqa: PLC0415 - loads the whole command line

    return typer.main.get_command(app)


def mentioned() -> dict[str, str]:
    """Every command that is mentioned, with the first place that does."""
    found: dict[str, str] = {}
    for page in below(".", suffix=".md"):
        for line, code in inline_code(text(page)):
            found.setdefault(code, place(page, line))
        for block in blocks(text(page)):
            if block.language in SHELLS:
                for typed in joined(block.code):
                    found.setdefault(typed.strip().removeprefix("$ "), place(page, block.line))
    for module in below("services", "tools", suffix=".py"):
        for number, said in enumerate(text(module).splitlines(), start=1):
            for match in IN_SENTENCE.finditer(said):
                found.setdefault(match["command"], place(module, number))
    return {code: where for code, where in found.items() if re.match(r"busbar( |$)", code)}


def joined(code: str) -> list[str]:
    """The lines of a block; one that ends in a backslash goes on."""
    return re.sub(r"\\\n\s*", " ", code).splitlines()


def words(line: str) -> Iterator[str]:
    """The words of the first command on ``line``, without its name."""
    try:
        parts = shlex.split(line, comments=True)
    except ValueError:  # an apostrophe of prose
        parts = line.split()
    for part in parts[1:]:
        if part in END:
            return
        yield part


def options_of(command: Any) -> set[str]:
    found = {"--help", "-h"}
    for parameter in command.params:
        found |= {*parameter.opts, *parameter.secondary_opts}
    return found


def problem_with(line: str) -> str | None:
    """Return the mistake in a command line, or None."""
    command, known = root(), options_of(root())
    mentioned_words = iter(words(line))
    for word in mentioned_words:
        option = word.partition("=")[0]
        if word in OF_THE_ROOT:
            next(mentioned_words, None)  # its value
        elif OPTION.fullmatch(option):
            if option not in known:
                return f"{command.name} has no option {option}"
        elif hasattr(command, "commands"):
            if not WORD.fullmatch(word):
                return None  # a placeholder: <command>
            if word not in command.commands:
                return f"{command.name} has no command {word}"
            command = loaded(command, word)
            known = known | options_of(command)
    return None


def loaded(group: Any, name: str) -> Any:
    """The command ``name`` of ``group``, with its parameters: the root knows them by name only."""
    context = group.make_context(group.name, ["--help"], resilient_parsing=True)
    return group.resolve_command(context, [name])[1]


@pytest.mark.parametrize("line", mentioned(), ids=lambda line: line[:60])
def test_a_command_that_is_mentioned_exists(line: str) -> None:
    assert problem_with(line) is None, mentioned()[line]


@pytest.mark.parametrize(
    "line", ["busbar invent", "busbar schema invent", "busbar get --invented", "busbar --invented"]
)
def test_the_rule_sees_what_does_not_exist(line: str) -> None:
    assert problem_with(line)


@pytest.mark.parametrize(
    "line",
    [
        "busbar",
        "busbar <command>",
        'busbar state --at "10m ago" && busbar why x',
        "busbar audit check -o json | head",
        "busbar --home .busbar get resources --team=payments",
    ],
)
def test_the_rule_lets_what_exists_pass(line: str) -> None:
    assert problem_with(line) is None


def test_the_targets_of_make_are_listed_in_two_columns() -> None:
    # `make test` is a make too, and then `make help` would name the folder first.
    command = ["make", "--no-print-directory", "help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    matches = [
        re.fullmatch(r"(?P<target>[a-z-]+) +(?P<about>\S.*)", line)
        for line in done.stdout.splitlines()
    ]
    assert len(matches) > 10
    assert len({match.start("about") for match in matches if match}) == 1
    assert all(matches)
