"""The examples of rules: intents that the rule is about, each with the outcome that it expects."""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from busbar.kernel import json_pointer
from busbar.kernel.json_schema import Place
from busbar.kernel.resource import ResourceId
from busbar.kernel.suggest import did_you_mean, listed
from busbar.messages.base import JsonObject
from busbar.messages.resource import ApplyResource, DeleteResource
from busbar.policy.domain.engine import Evaluation, PolicyRequest
from busbar.policy.domain.formatting import InputProblem, show
from busbar.policy.domain.model_errors import problems_of
from busbar.policy.domain.promise import PromiseVersion
from busbar.policy.domain.rule_scope import Known, environments_of
from busbar.policy.domain.rules import (
    ABSENT,
    Expectation,
    Rule,
    RuleBook,
    RuleExample,
    fits,
)


def example_problems(rule: Rule, known: Known) -> Iterator[InputProblem]:
    """Yield what is wrong with the examples of ``rule``, which can work."""
    book = RuleBook.of([rule], known.environments)
    for index, example in enumerate(rule.examples):
        for problem in _problems(rule, example, known, book):
            yield InputProblem(("examples", index, *problem.place), problem.problem, problem.fix)


def _problems(
    rule: Rule, example: RuleExample, known: Known, book: RuleBook
) -> Iterator[InputProblem]:
    model = ApplyResource if example.action == "apply" else DeleteResource
    try:
        intent = model.model_validate(example.given)
    except ValidationError as error:
        for problem in problems_of(error, model):
            yield InputProblem(("given", *problem.place), problem.problem, problem.fix)
        return
    resource = ResourceId(intent.team, intent.environment, intent.promise, intent.name)
    if outside := _outside(rule, example, resource, known):
        yield outside
        return
    data = example.given
    if isinstance(intent, ApplyResource):
        version = _version_of(intent, known)
        if isinstance(version, InputProblem):
            yield version
            return
        if version is not None:
            data = {**data, "spec": version.with_defaults(intent.spec)}
            refused = list(_refused(version, data["spec"]))
            yield from refused
            if refused:
                return
    request = PolicyRequest(action=example.action, resource=resource, data=data)
    yield from _surprises(rule, example, request, book)


def _outside(
    rule: Rule, example: RuleExample, resource: ResourceId, known: Known
) -> InputProblem | None:
    """Return why ``example`` is about nothing that the rule is about, if so: it proves nothing."""
    match = rule.match
    names = known.environments.names
    if resource.promise not in known.promise_names and known.promise_names:
        fix = did_you_mean(
            resource.promise,
            known.promise_names,
            otherwise=f"there are: {listed(known.promise_names)}",
        )
        return InputProblem(("given", "promise"), f"there is no promise {resource.promise}", fix)
    if resource.environment not in names:
        fix = did_you_mean(resource.environment, names, otherwise=f"declared are: {listed(names)}")
        problem = f"there is no environment {resource.environment}"
        return InputProblem(("given", "environment"), problem, fix)
    checks: tuple[tuple[Place, str, bool], ...] = (
        (("given", "promise"), resource.promise, fits(resource.promise, match.promise)),
        (
            ("given", "environment"),
            resource.environment,
            resource.environment in environments_of(match, known.environments),
        ),
        (("given", "team"), resource.team, fits(resource.team, match.team)),
        (("action",), example.action, fits(example.action, match.action)),
    )
    for place, value, inside in checks:
        if not inside:
            return InputProblem(
                place,
                f"rule {rule.name}, example {example.title!r}: the match of the rule does not fit "
                f"{place[-1]} {value}, so the example proves nothing",
                "write an example that the match fits, or leave it out",
            )
    return None


def _version_of(intent: ApplyResource, known: Known) -> PromiseVersion | InputProblem | None:
    """Return the version that the example asks for; None if its schema is not known."""
    promise = known.promises.offered.get(intent.promise)
    if promise is None:
        return None
    if intent.version is None:
        return promise.newest
    if intent.version in promise.versions:
        return promise.versions[intent.version]
    versions = sorted(promise.versions, key=lambda name: int(name[1:]))
    return InputProblem(
        ("given", "version"),
        f"{promise.name} has no version {intent.version}",
        f"its versions are: {listed(versions)}",
    )


def _refused(version: PromiseVersion, spec: JsonObject) -> Iterator[InputProblem]:
    """Yield why the spec of an example would be refused before any rule is asked."""
    for violation in version.violations(spec):
        parts: list[str | int] = [
            int(part) if part.isdecimal() and len(part) < len("100000") else part
            for part in json_pointer.split(violation.pointer)
        ]
        yield InputProblem(
            ("given", *parts),
            f"{version.promise} refuses the example's spec: {violation.message}",
            violation.fix,
        )


def _surprises(
    rule: Rule, example: RuleExample, request: PolicyRequest, book: RuleBook
) -> Iterator[InputProblem]:
    """Yield what came out of ``example`` that it does not expect."""
    about = f"rule {rule.name}, example {example.title!r}"
    outcome, message = _outcome(book.evaluate(request))
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
    """Return why ``rule`` does not fire for ``request``, which its match fits."""
    environment = request.resource.environment
    if fits(environment, rule.lifted_in):
        return f"the rule is lifted in {environment}"
    for condition in rule.when:
        value: Any = condition.value_in(request)
        if not condition.holds(value):
            operator = condition.operators[0]
            there = "absent" if value is ABSENT else show(value)
            test = f"{operator} {show(condition.operand)}"
            return f"{condition.pointer} is {there}, so {test} does not hold"
    return "every condition holds"
