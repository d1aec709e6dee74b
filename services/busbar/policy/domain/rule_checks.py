"""Checks of rule files: that each rule can work, and does what its examples say.

A name that nothing has, a place that no intent has and a comparison that no value satisfies are
errors: a rule that can never fire allows what it seems to deny.
"""

from collections.abc import Iterable, Iterator

from busbar.kernel.json_schema import Place
from busbar.kernel.suggest import did_you_mean, listed
from busbar.kernel.text import truncate
from busbar.messages.resource import ApplyResource
from busbar.policy.domain import patterns
from busbar.policy.domain.formatting import InputProblem
from busbar.policy.domain.match_checks import lift_problems, match_problems
from busbar.policy.domain.rule_examples import example_problems
from busbar.policy.domain.rule_scope import Known, targets_of
from busbar.policy.domain.rules import (
    PLACEHOLDER,
    PLACEHOLDERS,
    Rule,
    RuleCondition,
    RuleFile,
)
from busbar.policy.domain.when_checks import when_problems


def problems_in(
    file: RuleFile, known: Known, *, others: Iterable[Rule] = (), examples: bool = True
) -> list[InputProblem]:
    """Return everything that is wrong with ``file``.

    ``others`` are rules of other files, which lifts can name. Without ``examples``, these are not
    tried.
    """
    if not file.rules and not file.lifts:
        return [InputProblem((), "the file has no rules and no lifts", "add a rule")]
    named = {rule.name: rule for rule in (*others, *file.rules)}
    return [
        *_below("rules", (_rule_problems(rule, known, examples=examples) for rule in file.rules)),
        *_below("lifts", (lift_problems(lift, named, known) for lift in file.lifts)),
    ]


def _below(name: str, checked: Iterable[Iterable[InputProblem]]) -> Iterator[InputProblem]:
    for index, problems in enumerate(checked):
        for found in problems:
            yield InputProblem((name, index, *found.place), found.problem, found.fix)


def _rule_problems(rule: Rule, known: Known, *, examples: bool) -> list[InputProblem]:
    # Each stage needs what the one before it has made sure of.
    if found := [*_text_problems(rule), *_language_problems(rule), *match_problems(rule, known)]:
        return found
    if found := list(when_problems(rule, targets_of(rule, known))):
        return found
    return list(example_problems(rule, known)) if examples else []


def _text_problems(rule: Rule) -> Iterator[InputProblem]:
    known = PLACEHOLDERS if rule.when else PLACEHOLDERS[:-1]
    without = "" if rule.when else " of a rule without when"
    for field, text in (("message", rule.message), ("fix", rule.fix)):
        for name in PLACEHOLDER.findall(text):
            if name not in known:
                fix = did_you_mean(name, known, otherwise=f"known are: {listed(known)}")
                yield InputProblem((field,), f"${{{name}}} is not a placeholder{without}", fix)
        _, opened, rest = PLACEHOLDER.sub(" ", text).partition("${")
        if opened:
            problem = f"{truncate(opened + rest)!r} has no closing brace"
            yield InputProblem((field,), problem, "close it with }, or leave ${ out")


def _language_problems(rule: Rule) -> list[InputProblem]:
    return [
        InputProblem(("when", index, *place), problem, fix)
        for index, condition in enumerate(rule.when)
        for place, problem, fix in _condition_problems(condition)
    ]


def _condition_problems(condition: RuleCondition) -> list[tuple[Place, str, str]]:
    found: list[tuple[Place, str, str]] = []
    head = condition.pointer.split("/")[1:2]
    known = tuple(ApplyResource.model_fields)
    if not condition.pointer.startswith("/") or head[0] not in known:
        name = head[0] if head else condition.pointer
        starts = f"start with one of: {listed([f'/{name}' for name in known])}"
        fix = did_you_mean(name, known, otherwise=starts)
        found.append((("pointer",), f"{condition.pointer!r} is not in the data of any intent", fix))
    if len(condition.operators) != 1:
        written = listed(condition.operators)
        fix = "write one of equals, not_equals, in, not_in, greater_than, less_than, matches, "
        fix += "not_matches, present and absent; two tests are two conditions"
        found.append(((), f"a condition has one operator; this one has {written}", fix))
        return found
    operator, operand = condition.operators[0], condition.operand
    if operand is None and operator not in {"equals", "not_equals"}:
        found.append(((operator,), f"{operator} has no value", "give it one"))
    elif operator in {"in", "not_in"} and not operand:
        found.append(((operator,), f"{operator} has an empty list", "list the values"))
    elif "matches" in operator and (refused := patterns.problem_with(operand)):
        found.append(((operator,), refused.problem, refused.fix))
    return found
