"""Log events are names that can be searched and counted, with fields beside them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from meta.checkout import below, place, tree

LOGGER = "log"
METHODS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
EVENT = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def calls_of(module: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(module):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in METHODS
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == LOGGER
        ):
            yield node


def is_event(node: ast.expr) -> bool:
    if isinstance(node, ast.IfExp):
        return is_event(node.body) and is_event(node.orelse)
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and EVENT.fullmatch(node.value) is not None
    )


def is_named(call: ast.Call) -> bool:
    """Return whether a call logs one literal event name and nothing else by position."""
    return len(call.args) == 1 and is_event(call.args[0])


def loggers_of(module: ast.AST) -> Iterator[tuple[int, str]]:
    """The names that loggers are assigned to."""
    for node in ast.walk(module):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and ast.unparse(node.value.func).endswith("get_logger")
        ):
            yield node.lineno, ast.unparse(node.targets[0])


def product() -> list[Path]:
    return below("services", "tools", suffix=".py")


def test_every_log_event_is_a_snake_case_literal() -> None:
    wrong = [
        place(path, call.lineno)
        for path in product()
        for call in calls_of(tree(path))
        if not is_named(call)
    ]
    assert not wrong, 'write log.info("batch_committed", records=12)'


def test_every_logger_is_called_log_so_that_the_rule_sees_it() -> None:
    wrong = [
        place(path, line)
        for path in product()
        for line, name in loggers_of(tree(path))
        if name != LOGGER
    ]
    assert not wrong


def test_product_code_does_not_log_through_the_standard_library() -> None:
    wrong = [
        place(path, node.lineno)
        for path in product()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {f"logging.{m}" for m in METHODS}
    ]
    assert not wrong


@pytest.mark.parametrize(
    "code",
    [
        'log.info("Batch committed")',
        'log.info(f"batch_{n}")',
        "log.info(event)",
        'log.info("batch_committed", 12)',
        'log.warning("a_b" if c else "D")',
        "log.error()",
    ],
)
def test_the_rule_sees_prose_and_formatted_events(code: str) -> None:
    assert [is_named(call) for call in calls_of(ast.parse(code))] == [False]


def test_the_rule_lets_names_with_fields_pass() -> None:
    code = 'log.info("broker_answers" if up else "broker_silent", records=12, **fields)'
    assert [is_named(call) for call in calls_of(ast.parse(code))] == [True]
