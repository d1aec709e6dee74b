"""Tests wait for what they want to see, never for a while."""

import ast
from collections.abc import Iterator

import pytest

from meta.checkout import ROOT, below, place, tree

MODULES = frozenset({"time", "asyncio", "anyio", "trio"})


def sleeps_in(module: ast.AST) -> Iterator[int]:
    """The lines that sleep. ``asyncio.sleep(0)`` waits for nothing: it lets others have a turn."""
    turns = {
        node.func
        for node in ast.walk(module)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and [getattr(argument, "value", None) for argument in node.args] == [0]
    }
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and node.module in MODULES:
            if any(name.name == "sleep" for name in node.names):
                yield node.lineno
        elif (
            isinstance(node, ast.Attribute)
            and node.attr == "sleep"
            and isinstance(node.value, ast.Name)
            and node.value.id in MODULES
            and node not in turns
        ):
            yield node.lineno


def test_no_test_sleeps() -> None:
    support = ROOT / "tests" / "support"
    sleeping = [
        place(path, line)
        for path in below("tests", suffix=".py")
        if not path.is_relative_to(support)
        for line in sleeps_in(tree(path))
    ]
    assert not sleeping, "wait with support.eventually(...)"


@pytest.mark.parametrize(
    "code",
    [
        "time.sleep(1)",
        "from time import sleep",
        "await asyncio.sleep(0.1)",
        "nap = asyncio.sleep",
        "anyio.sleep(seconds)",
    ],
)
def test_the_rule_sees_sleeps(code: str) -> None:
    assert list(sleeps_in(ast.parse(code))) == [1]


@pytest.mark.parametrize("code", ["asyncio.sleep(0)", "clock.sleep(5)", "def sleep(): ..."])
def test_the_rule_lets_turns_and_clocks_pass(code: str) -> None:
    assert list(sleeps_in(ast.parse(code))) == []
