"""Conditions that can never hold, whatever an intent asks for."""

import re
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any, Final

from busbar.kernel.resource import SLUG
from busbar.policy.domain.rules import RuleCondition
from busbar.policy.domain.values import NUMBERS, Interval, Values

_ABSENCES: Final = {"present": False, "absent": True}
_MAX_SPELLINGS: Final = 64
_PLAIN: Final = re.compile(r"(?P<start>\^?)(?P<text>[A-Za-z0-9_ @/:,-]*)(?P<end>\$?)")
_NAME: Final = re.compile(SLUG)
_INSIDE_OF_A_NAME: Final = re.compile(r"[a-z0-9-]{0,63}")


def wants_absence(condition: RuleCondition) -> bool:
    """Return whether ``condition`` holds for an absent value only."""
    return _ABSENCES.get(condition.operators[0]) is condition.operand


def operands(condition: RuleCondition) -> list[tuple[tuple[str | int, ...], Any]]:
    """Return the values that are compared for equality, each with its place in the condition."""
    operator = condition.operators[0]
    if operator in {"equals", "not_equals"}:
        return [((operator,), condition.operand)]
    if operator in {"in", "not_in"}:
        return [((operator, index), value) for index, value in enumerate(condition.operand)]
    return []


def can_be(values: Values, operand: Any) -> bool:
    """Return whether one of ``values`` may equal ``operand``."""
    return any(values.allows(value) for value in spellings(operand))


def spellings(value: Any) -> list[Any]:
    """Return the values that are the same JSON as ``value``: ``1`` is ``1.0``."""
    if isinstance(value, bool):
        return [value]
    if isinstance(value, float) and value.is_integer():
        return [value, int(value)]
    if isinstance(value, int):
        return [value, float(value)] if float(value) == value else [value]
    if isinstance(value, list | tuple):
        return [list(one) for one in _products([spellings(item) for item in value])]
    if isinstance(value, dict):
        ways = _products([spellings(item) for item in value.values()])
        return [dict(zip(value, one, strict=True)) for one in ways]
    return [value]


def _products(choices: Sequence[list[Any]]) -> list[tuple[Any, ...]]:
    count = 1
    for options in choices:
        count *= len(options)
    if count > _MAX_SPELLINGS:  # as written, and with whole numbers only
        return [tuple(options[index] for options in choices) for index in (0, -1)]
    return list(product(*choices))


def can_hold(values: Values, conditions: Iterable[RuleCondition]) -> bool:
    """Return whether one of ``values``, each of them there, may satisfy all ``conditions``."""
    tests = [one for one in conditions if one.operators[0] not in _ABSENCES]
    candidates = _candidates(values, tests)
    if candidates is not None:
        return any(all(test.holds(value) for test in tests) for value in candidates)
    searched = [str(test.operand) for test in tests if test.operators[0] == "matches"]
    if values.are_names and not all(map(_may_be_in_a_name, searched)):
        return False
    operators = {test.operators[0] for test in tests}
    kinds = values.kinds
    if "matches" in operators:
        kinds &= {"string"}
    if operators & {"greater_than", "less_than"}:
        kinds &= NUMBERS
    if not kinds:
        return False
    return not kinds <= NUMBERS or not _interval(values, tests).is_empty()


def _may_be_in_a_name(pattern: str) -> bool:
    """Return whether a name may match ``pattern``; only plain text with anchors is ruled out."""
    found = _PLAIN.fullmatch(pattern)
    if found is None:
        return True
    text = found["text"]
    if found["start"] and found["end"]:
        return _NAME.fullmatch(text) is not None
    starts_badly, ends_badly = found["start"] and text[:1] == "-", found["end"] and text[-1:] == "-"
    return _INSIDE_OF_A_NAME.fullmatch(text) is not None and not (starts_badly or ends_badly)


def _candidates(values: Values, tests: Sequence[RuleCondition]) -> Sequence[Any] | None:
    """Return the values that could satisfy ``tests``, if they can be listed."""
    for test in tests:
        if test.operators[0] in {"equals", "in"}:
            found = [spelling for _, one in operands(test) for spelling in spellings(one)]
            return [value for value in found if values.allows(value)]
    return values.all_within(_interval(values, tests))


def _interval(values: Values, tests: Iterable[RuleCondition]) -> Interval:
    found = values.interval()
    for test in tests:
        if test.operators[0] == "greater_than":
            found = found.above(test.operand, is_open=True)
        elif test.operators[0] == "less_than":
            found = found.below(test.operand, is_open=True)
    return found
