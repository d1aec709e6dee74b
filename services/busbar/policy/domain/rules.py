"""House rules: what fits the schema and is still refused, or warned about (``policy/v1`` files).

A rule is about the requests that its ``match`` names and fires when all of its ``when`` hold. A
condition about a value that is not there does not hold, except ``absent``. Texts too long to be
matched (``patterns.MAX_TEXT``) count as firing: a rule is never passed by being outgrown.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, StrictBool, StrictFloat, StrictInt

from busbar.kernel.canonical import digest
from busbar.messages.base import Slug
from busbar.messages.policy import Violation
from busbar.messages.resource import ApplyResource
from busbar.policy.domain import patterns
from busbar.policy.domain.engine import Effect, Evaluation, Outcome, PolicyRequest
from busbar.policy.domain.promise import FileModel, Line
from busbar.policy.domain.words import Place, Problem, did_you_mean, listed, show

PLACEHOLDERS: Final = ("team", "environment", "promise", "name", "action", "value")
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_ABSENT: Final = object()

Globs = Annotated[tuple[str, ...], Field(min_length=1)]
Number = StrictInt | StrictFloat


class Match(FileModel):
    """Which requests a rule is about: one glob of every list has to fit."""

    promise: Globs = ("*",)
    environment: Globs = ("*",)
    team: Globs = ("*",)
    action: Annotated[tuple[Literal["apply", "delete", "*"], ...], Field(min_length=1)] = ("*",)


class Condition(FileModel):
    """One test of the value at ``pointer`` (RFC 6901, into the intent's data)."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    pointer: str
    equals: Any = None
    not_equals: Any = None
    in_: tuple[Any, ...] | None = Field(default=None, alias="in")
    not_in: tuple[Any, ...] | None = None
    greater_than: Number | None = None
    less_than: Number | None = None
    matches: str | None = None
    not_matches: str | None = None
    present: StrictBool | None = None
    absent: StrictBool | None = None

    @property
    def operators(self) -> tuple[str, ...]:
        """The operators that were written down; a sound condition has one."""
        return tuple(sorted(name.rstrip("_") for name in self.model_fields_set - {"pointer"}))

    @property
    def operand(self) -> Any:
        """What the value is compared with."""
        name = self.operators[0]
        return getattr(self, "in_" if name == "in" else name)

    def holds(self, value: Any) -> bool:
        """Whether the value found at the pointer passes the test."""
        operator, operand = self.operators[0], self.operand
        if operator in {"present", "absent"}:
            return (value is not _ABSENT) is (operand is (operator == "present"))
        return value is not _ABSENT and _compare(operator, value, operand)


class Rule(FileModel):
    """One rule."""

    name: Slug
    description: str = ""
    match: Match = Match()
    when: tuple[Condition, ...] = ()
    effect: Effect
    message: Line
    fix: Line


class RuleFile(FileModel):
    """The whole file. ``busbar`` marks the format."""

    busbar: Literal["policy/v1"]
    rules: tuple[Rule, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All rules in force, by name; a ``ports.PolicyEngine``."""

    rules: tuple[Rule, ...]
    digest: str

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> "RuleBook":
        """The book of ``rules``. Which file a rule stands in, and where, makes no difference."""
        ordered = tuple(sorted(rules, key=lambda rule: rule.name))
        written = [
            rule.model_dump(mode="json", by_alias=True, exclude_unset=True) for rule in ordered
        ]
        return cls(rules=ordered, digest=digest(written))

    def evaluate(self, request: PolicyRequest) -> Evaluation:
        """What every rule that is about ``request`` says."""
        outcomes: list[Outcome] = []
        satisfied: list[str] = []
        for rule in self.rules:
            if not _is_about(rule.match, request):
                continue
            if all(condition.holds(_at(condition, request)) for condition in rule.when):
                outcomes.append(_fire(rule, request))
            else:
                satisfied.append(rule.name)
        return Evaluation(outcomes=tuple(outcomes), satisfied=tuple(satisfied))


def problems_in(file: RuleFile) -> list[Problem]:
    """Everything that is wrong with the rules of ``file``, each with its place in it."""
    return [
        Problem(("rules", index, *problem.place), problem.problem, problem.fix)
        for index, rule in enumerate(file.rules)
        for problem in (*_text_problems(rule), *_when_problems(rule))
    ]


def _text_problems(rule: Rule) -> list[Problem]:
    known = PLACEHOLDERS if rule.when else PLACEHOLDERS[:-1]
    return [
        Problem(
            (field,),
            f"${{{name}}} is not a placeholder" + ("" if rule.when else " of a rule without when"),
            did_you_mean(name, known, otherwise=f"known are: {listed(known)}"),
        )
        for field, text in (("message", rule.message), ("fix", rule.fix))
        for name in _PLACEHOLDER.findall(text)
        if name not in known
    ]


def _when_problems(rule: Rule) -> list[Problem]:
    return [
        Problem(("when", index, *place), problem, fix)
        for index, condition in enumerate(rule.when)
        for place, problem, fix in _condition_problems(condition)
    ]


def _condition_problems(condition: Condition) -> list[tuple[Place, str, str]]:
    found: list[tuple[Place, str, str]] = []
    head = condition.pointer.split("/")[1:2]
    known = tuple(ApplyResource.model_fields)
    if not condition.pointer.startswith("/") or head[0] not in known:
        fix = f"start with one of: {listed([f'/{name}' for name in known])}"
        found.append((("pointer",), f"{condition.pointer!r} points into no intent", fix))
    if len(condition.operators) != 1:
        written = listed(condition.operators)
        fix = "write one of equals, not_equals, in, not_in, greater_than, less_than, matches, "
        fix += "not_matches, present and absent; two tests are two conditions"
        found.append(((), f"a condition has one operator, this one has {written}", fix))
        return found
    operator, operand = condition.operators[0], condition.operand
    if operand is None and operator not in {"equals", "not_equals"}:
        found.append(((operator,), f"{operator} compares with nothing", "give it a value"))
    elif "matches" in operator and (refused := patterns.problem_with(operand)):
        found.append(((operator,), refused.problem, refused.fix))
    return found


def _is_about(match: Match, request: PolicyRequest) -> bool:
    resource = request.resource
    return (
        _fits(resource.promise, match.promise)
        and _fits(resource.environment, match.environment)
        and _fits(resource.team, match.team)
        and _fits(request.action, match.action)
    )


def _fits(text: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(text, glob) for glob in globs)


def _at(condition: Condition, request: PolicyRequest) -> Any:
    """The value at the condition's pointer, or ``_ABSENT``."""
    value: Any = request.data
    for part in condition.pointer.split("/")[1:]:
        segment = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping) and segment in value:
            value = value[segment]
        elif isinstance(value, list) and segment in {str(index) for index in range(len(value))}:
            value = value[int(segment)]
        else:
            return _ABSENT
    return value


def _compare(operator: str, value: Any, operand: Any) -> bool:
    match operator:
        case "equals" | "not_equals":
            return _same(value, operand) is (operator == "equals")
        case "in" | "not_in":
            return any(_same(value, item) for item in operand) is (operator == "in")
        case "greater_than":
            return _is_number(value) and bool(value > operand)
        case "less_than":
            return _is_number(value) and bool(value < operand)
        case _:  # matches, not_matches
            found = patterns.search(operand, value) if isinstance(value, str) else False
            return found is None or found is (operator == "matches")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(left: Any, right: Any) -> bool:
    """Equality as JSON has it: ``true`` is not ``1``, and ``1`` is ``1.0``."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


def _fire(rule: Rule, request: PolicyRequest) -> Outcome:
    place = rule.when[0].pointer if rule.when else ""
    words = {
        "team": request.resource.team,
        "environment": request.resource.environment,
        "promise": request.resource.promise,
        "name": request.resource.name,
        "action": request.action,
        "value": _spoken(_at(rule.when[0], request)) if rule.when else "",
    }
    violation = Violation(
        rule=rule.name,
        message=_PLACEHOLDER.sub(lambda found: words[found[1]], rule.message),
        fix=_PLACEHOLDER.sub(lambda found: words[found[1]], rule.fix),
        pointer=place,
    )
    return Outcome(rule=rule.name, effect=rule.effect, violation=violation)


def _spoken(value: Any) -> str:
    if value is _ABSENT:
        return "nothing"
    return value if isinstance(value, str) and len(value) <= patterns.MAX_TEXT else show(value)
