"""House rules: they deny intents that fit the schema, or warn about them (``policy/v1`` files).

A rule is about the requests that fit its ``match``, and fires if all conditions in ``when`` hold.
A condition on an absent value does not hold, except ``absent: true`` and ``present: false``. A text
that is too long to be searched (``patterns.MAX_TEXT``) satisfies ``matches`` and ``not_matches``,
so that no rule can be evaded by length. ``docs/how-to/write-a-rule.md`` teaches the language.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import Field, StrictBool, StrictFloat, StrictInt

from busbar.kernel import json_pointer
from busbar.kernel.canonical import digest
from busbar.messages.base import JsonObject, Slug
from busbar.messages.plan import Action
from busbar.messages.policy import Violation
from busbar.policy.domain import patterns
from busbar.policy.domain.engine import Effect, Evaluation, FiredRule, PolicyRequest
from busbar.policy.domain.environments import Environments
from busbar.policy.domain.formatting import show
from busbar.policy.domain.promise import FileModel, Line

PLACEHOLDERS: Final = ("team", "environment", "promise", "name", "action", "value")
PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
ABSENT: Final = object()
"""Stands for an absent value."""

Expectation = Literal["allowed", "warned", "denied"]
EFFECTS: Final = get_args(Effect)
EXPECTATIONS: Final = get_args(Expectation)

Globs = Annotated[tuple[str, ...], Field(min_length=1)]
Number = StrictInt | StrictFloat


class RuleMatch(FileModel):
    """The requests that a rule is about: one glob of each list has to fit.

    ``labels`` are those of the environment: each has to have one of its values.
    """

    promise: Globs = ("*",)
    environment: Globs = ("*",)
    labels: dict[Slug, Annotated[tuple[Slug, ...], Field(min_length=1)]] = Field(
        default_factory=dict
    )
    team: Globs = ("*",)
    action: Annotated[tuple[Literal["apply", "delete", "*"], ...], Field(min_length=1)] = ("*",)

    def fits(self, request: PolicyRequest, labels: Mapping[str, str] | None) -> bool:
        """Return whether the rule is about ``request``, in an environment with ``labels``."""
        resource = request.resource
        return (
            fits(resource.promise, self.promise)
            and fits(resource.environment, self.environment)
            and self.fits_labels(labels)
            and fits(resource.team, self.team)
            and fits(request.action, self.action)
        )

    def fits_labels(self, labels: Mapping[str, str] | None) -> bool:
        """Return whether the rule is about environments with ``labels``.

        None stands for an environment that is not declared any more: rules hold there.
        """
        return labels is None or all(
            labels.get(label) in values for label, values in self.labels.items()
        )


class RuleCondition(FileModel):
    """A test of the value at ``pointer`` (RFC 6901, into the intent's data)."""

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
        """The operators that are set; a valid condition has one."""
        return tuple(sorted(name.rstrip("_") for name in self.model_fields_set - {"pointer"}))

    @property
    def operand(self) -> Any:
        """The value of the operator."""
        name = self.operators[0]
        return getattr(self, "in_" if name == "in" else name)

    def value_in(self, request: PolicyRequest) -> Any:
        """Return the value at the pointer, or :data:`ABSENT`."""
        value: Any = request.data
        for segment in json_pointer.split(self.pointer):
            if isinstance(value, Mapping) and segment in value:
                value = value[segment]
            elif isinstance(value, list) and segment in {str(index) for index in range(len(value))}:
                value = value[int(segment)]
            else:
                return ABSENT
        return value

    def holds(self, value: Any) -> bool:
        """Return whether the value at the pointer satisfies the operator."""
        operator, operand = self.operators[0], self.operand
        if operator in {"present", "absent"}:
            return (value is not ABSENT) is (operand is (operator == "present"))
        return value is not ABSENT and _compare(operator, value, operand)


class RuleExample(FileModel):
    """An intent and the outcome of this rule alone; checked when the file is loaded.

    ``given`` is the data of an apply or a delete as the rule sees it: defaults are not filled in.
    """

    title: Line
    action: Action = "apply"
    given: JsonObject
    expect: Expectation
    message: str | None = None


class Rule(FileModel):
    """A rule. It holds in every environment of its match but those that ``lifted_in`` fits."""

    name: Slug
    description: str = ""
    match: RuleMatch = RuleMatch()
    lifted_in: tuple[str, ...] = ()
    when: tuple[RuleCondition, ...] = ()
    effect: Effect
    message: Line
    fix: Line
    examples: tuple[RuleExample, ...] = ()


class Lift(FileModel):
    """The environments in which a rule of any file does not hold, and the reason."""

    rule: Slug
    environment: Globs
    reason: Line


class RuleFile(FileModel):
    """The whole file. ``busbar`` marks the format; there is at least one rule or lift."""

    busbar: Literal["policy/v1"]
    rules: tuple[Rule, ...] = ()
    lifts: tuple[Lift, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All rules in force, ordered by name; an ``engine.PolicyEngine``."""

    rules: tuple[Rule, ...]
    environments: Environments
    digest: str

    @classmethod
    def of(
        cls, rules: Iterable[Rule], environments: Environments, lifts: Iterable[Lift] = ()
    ) -> "RuleBook":
        """Return the book of ``rules``, lifted as they and ``lifts`` say.

        Its digest names what is enforced: it depends neither on files and their order nor on
        examples and reasons.
        """
        lifted: dict[str, set[str]] = {}
        for lift in lifts:
            lifted.setdefault(lift.rule, set()).update(lift.environment)
        ordered = tuple(
            _with_lifts(rule, lifted.get(rule.name, set()))
            for rule in sorted(rules, key=lambda rule: rule.name)
        )
        written = [
            rule.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"examples"})
            for rule in ordered
        ]
        enforced = {"rules": written, "environments": environments.digest}
        return cls(rules=ordered, environments=environments, digest=digest(enforced))

    def evaluate(self, request: PolicyRequest) -> Evaluation:
        """Evaluate every rule that is about ``request``."""
        fired: list[FiredRule] = []
        satisfied: list[str] = []
        environment = request.resource.environment
        labels = self.environments.labels_of(environment)
        for rule in self.rules:
            if not rule.match.fits(request, labels) or fits(environment, rule.lifted_in):
                continue
            if all(condition.holds(condition.value_in(request)) for condition in rule.when):
                fired.append(_fire(rule, request))
            else:
                satisfied.append(rule.name)
        return Evaluation(fired=tuple(fired), satisfied=tuple(satisfied))


def _with_lifts(rule: Rule, environments: set[str]) -> Rule:
    if not environments:
        return rule
    return rule.model_copy(update={"lifted_in": tuple(sorted(environments.union(rule.lifted_in)))})


@lru_cache(maxsize=8192)
def fits(text: str, globs: tuple[str, ...]) -> bool:
    """Return whether one of ``globs`` fits ``text``; the answers are cached, as few names recur."""
    return any(fnmatchcase(text, glob) for glob in globs)


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
    """Return whether both are the same JSON: ``true`` is not ``1``, but ``1`` is ``1.0``."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


def _fire(rule: Rule, request: PolicyRequest) -> FiredRule:
    place = rule.when[0].pointer if rule.when else ""
    values = {
        "team": request.resource.team,
        "environment": request.resource.environment,
        "promise": request.resource.promise,
        "name": request.resource.name,
        "action": request.action,
        "value": _shown(rule.when[0].value_in(request)) if rule.when else "",
    }
    violation = Violation(
        rule=rule.name,
        message=PLACEHOLDER.sub(lambda found: values[found[1]], rule.message),
        fix=PLACEHOLDER.sub(lambda found: values[found[1]], rule.fix),
        pointer=place,
    )
    return FiredRule(rule=rule.name, effect=rule.effect, violation=violation)


def _shown(value: Any) -> str:
    if value is ABSENT:
        return "nothing"
    return value if isinstance(value, str) and len(value) <= patterns.MAX_TEXT else show(value)
