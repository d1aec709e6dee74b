"""Checks of rule files: that each rule can work, and does what its examples say."""

from collections.abc import Iterator

from pydantic import ValidationError

from busbar.kernel.resource import ResourceId
from busbar.kernel.suggest import did_you_mean, listed
from busbar.messages.resource import ApplyResource, DeleteResource
from busbar.policy.domain import patterns
from busbar.policy.domain.engine import Evaluation, PolicyRequest
from busbar.policy.domain.formatting import InputProblem, Place, show
from busbar.policy.domain.model_errors import problems_of
from busbar.policy.domain.rules import (
    ABSENT,
    PLACEHOLDER,
    PLACEHOLDERS,
    Expectation,
    Rule,
    RuleBook,
    RuleCondition,
    RuleExample,
    RuleFile,
)


def problems_in(file: RuleFile) -> list[InputProblem]:
    """Return everything that is wrong with the rules of ``file``."""
    return [
        InputProblem(("rules", index, *problem.place), problem.problem, problem.fix)
        for index, rule in enumerate(file.rules)
        for problem in _problems_in_rule(rule)
    ]


def _problems_in_rule(rule: Rule) -> list[InputProblem]:
    # A rule that cannot work says nothing about its examples.
    found = [*_text_problems(rule), *_when_problems(rule)]
    return found or list(_example_problems(rule))


def _text_problems(rule: Rule) -> list[InputProblem]:
    known = PLACEHOLDERS if rule.when else PLACEHOLDERS[:-1]
    return [
        InputProblem(
            (field,),
            f"${{{name}}} is not a placeholder" + ("" if rule.when else " of a rule without when"),
            did_you_mean(name, known, otherwise=f"known are: {listed(known)}"),
        )
        for field, text in (("message", rule.message), ("fix", rule.fix))
        for name in PLACEHOLDER.findall(text)
        if name not in known
    ]


def _when_problems(rule: Rule) -> list[InputProblem]:
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
        fix = f"start with one of: {listed([f'/{name}' for name in known])}"
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
    elif "matches" in operator and (refused := patterns.problem_with(operand)):
        found.append(((operator,), refused.problem, refused.fix))
    return found


def _example_problems(rule: Rule) -> Iterator[InputProblem]:
    book = RuleBook.of([rule])
    for index, example in enumerate(rule.examples):
        model = ApplyResource if example.action == "apply" else DeleteResource
        try:
            intent = model.model_validate(example.given)
        except ValidationError as error:
            for problem in problems_of(error, model):
                place = ("examples", index, "given", *problem.place)
                yield InputProblem(place, problem.problem, problem.fix)
            continue
        resource = ResourceId(intent.team, intent.environment, intent.promise, intent.name)
        request = PolicyRequest(action=example.action, resource=resource, data=example.given)
        yield from (
            InputProblem(("examples", index, *problem.place), problem.problem, problem.fix)
            for problem in _surprises(rule, example, request, book.evaluate(request))
        )


def _surprises(
    rule: Rule, example: RuleExample, request: PolicyRequest, evaluation: Evaluation
) -> Iterator[InputProblem]:
    """Yield what came out of ``example`` that it does not expect."""
    about = f"rule {rule.name}, example {example.title!r}"
    outcome, message = _outcome(evaluation)
    if outcome != example.expect:
        said = f" with the message {message!r}" if message else f": {_why_silent(rule, request)}"
        yield InputProblem(
            ("expect",),
            f"{about}: {example.expect} is expected, but the outcome is {outcome}{said}",
            "correct the rule or the example",
        )
    elif example.message is not None and outcome == "allowed":
        yield InputProblem(
            ("message",), f"{about}: an intent that is allowed gets no message", "leave it out"
        )
    elif example.message is not None and example.message != message:
        yield InputProblem(
            ("message",),
            f"{about}: the message is {message!r}, {example.message!r} is expected",
            "correct the rule or the example",
        )


def _outcome(evaluation: Evaluation) -> tuple[Expectation, str]:
    if evaluation.denials:
        return "denied", evaluation.denials[0].message
    if evaluation.warnings:
        return "warned", evaluation.warnings[0].message
    return "allowed", ""


def _why_silent(rule: Rule, request: PolicyRequest) -> str:
    """Return why ``rule`` does not fire for ``request``."""
    if not rule.match.fits(request):
        return "the match of the rule does not fit it"
    for condition in rule.when:
        value = condition.value_in(request)
        if not condition.holds(value):
            operator = condition.operators[0]
            there = "absent" if value is ABSENT else show(value)
            test = f"{operator} {show(condition.operand)}"
            return f"{condition.pointer} is {there}, so {test} does not hold"
    return "every condition holds"
