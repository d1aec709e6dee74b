from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from busbar.kernel.resource import ResourceId
from busbar.messages.plan import Action
from busbar.policy.domain import Evaluation, PolicyEngine, PolicyRequest, Promises, RuleBook
from busbar.policy.domain.environments import Environment, Environments
from busbar.policy.domain.patterns import MAX_TEXT
from busbar.policy.domain.rule_checks import problems_in
from busbar.policy.domain.rule_scope import Known
from busbar.policy.domain.rules import Lift, RuleCondition, RuleFile

# The schema of a promise whose file is broken is not known, so that any pointer may exist.
ANYTHING = Known(
    promises=Promises(broken={"event-stream": "it is broken"}),
    environments=Environments.of(
        Environment(name=name, title=name, order=order, labels={"tier": tier})
        for order, (name, tier) in enumerate(
            [("dev", "low"), ("test", "low"), ("stage", "high"), ("prod", "high")]
        )
    ),
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: st.lists(children) | st.dictionaries(st.text(max_size=5), children),
    max_leaves=6,
)


def rule(**parts: Any) -> dict[str, Any]:
    return {"name": "a-rule", "effect": "deny", "message": "no", "fix": "do not", **parts}


def file_of(*rules: dict[str, Any]) -> RuleFile:
    return RuleFile.model_validate({"busbar": "policy/v1", "rules": rules})


def book(*rules: dict[str, Any]) -> RuleBook:
    file = file_of(*rules)
    assert problems_in(file, ANYTHING) == []
    return RuleBook.of(file.rules, ANYTHING.environments)


def request(
    spec: dict[str, Any] | None = None,
    *,
    resource: str = "payments/dev/event-stream/orders",
    action: Action = "apply",
) -> PolicyRequest:
    id_ = ResourceId.parse(resource)
    data = {
        "team": id_.team,
        "environment": id_.environment,
        "promise": id_.promise,
        "name": id_.name,
        **({} if spec is None else {"spec": spec}),
    }
    return PolicyRequest(action=action, resource=id_, data=data)


def fires(engine: PolicyEngine, asked: PolicyRequest) -> bool:
    return bool(engine.evaluate(asked).fired)


@pytest.mark.parametrize(
    ("test", "value", "holds"),
    [
        ({"equals": 1}, 1, True),
        ({"equals": 1}, 1.0, True),
        ({"equals": 1}, True, False),
        ({"equals": None}, None, True),
        ({"equals": {"a": [1]}}, {"a": [1.0]}, True),
        ({"equals": {"a": [1]}}, {"a": [True]}, False),
        ({"not_equals": "a"}, "b", True),
        ({"not_equals": "a"}, "a", False),
        ({"in": ["a", 1]}, 1, True),
        ({"in": ["a", 1]}, True, False),
        ({"not_in": ["a", 1]}, "b", True),
        ({"not_in": ["a", 1]}, "a", False),
        ({"greater_than": 5}, 6, True),
        ({"greater_than": 5}, 5, False),
        ({"greater_than": 5}, "6", False),
        ({"greater_than": 0}, True, False),
        ({"less_than": 5.5}, 5, True),
        ({"less_than": 5}, 5, False),
        ({"matches": "^a+$"}, "aa", True),
        ({"matches": "^a+$"}, "aab", False),
        ({"matches": "^a+$"}, 5, False),
        ({"not_matches": "^a+$"}, "aab", True),
        ({"not_matches": "^a+$"}, "aa", False),
        ({"matches": "^b$"}, "a" * (MAX_TEXT + 1), True),
        ({"not_matches": "^a*$"}, "a" * (MAX_TEXT + 1), True),
        ({"matches": "^b$"}, "\ud800", True),
        ({"present": True}, None, True),
        ({"present": False}, 1, False),
        ({"absent": True}, 1, False),
        ({"absent": False}, 1, True),
    ],
)
def test_a_condition_compares_as_json_does(
    test: dict[str, Any], value: Any, *, holds: bool
) -> None:
    rules = book(rule(when=[{"pointer": "/spec/x", **test}]))

    assert fires(rules, request({"x": value})) is holds


@pytest.mark.parametrize("test", [{"absent": True}, {"present": False}])
def test_a_condition_can_ask_for_something_to_be_absent(test: dict[str, Any]) -> None:
    assert fires(book(rule(when=[{"pointer": "/spec/x", **test}])), request({}))


@pytest.mark.parametrize(
    "test",
    [
        {"equals": None},
        {"not_equals": 1},
        {"in": [None]},
        {"not_in": [1]},
        {"greater_than": 1},
        {"less_than": 1},
        {"matches": ""},
        {"not_matches": "a"},
        {"present": True},
    ],
)
def test_a_condition_about_a_value_that_is_not_there_does_not_hold(test: dict[str, Any]) -> None:
    rules = book(rule(when=[{"pointer": "/spec/x/y", **test}]))

    assert not fires(rules, request({}))
    assert not fires(rules, request(action="delete"))


def test_a_pointer_walks_through_objects_lists_and_escapes() -> None:
    rules = book(rule(when=[{"pointer": "/spec/a~1b/1/~0", "equals": 7}]))

    assert fires(rules, request({"a/b": [0, {"~": 7}]}))
    assert not fires(rules, request({"a/b": [0]}))
    assert not fires(
        book(rule(when=[{"pointer": "/spec/x/01", "equals": 7}])), request({"x": [7, 7]})
    )


def test_every_condition_has_to_hold() -> None:
    rules = book(
        rule(when=[{"pointer": "/spec/x", "equals": 1}, {"pointer": "/team", "equals": "payments"}])
    )

    assert fires(rules, request({"x": 1}))
    assert not fires(rules, request({"x": 2}))
    assert not fires(rules, request({"x": 1}, resource="risk/dev/event-stream/orders"))


@pytest.mark.parametrize(
    ("match", "about"),
    [
        ({}, True),
        ({"promise": ["event-*"], "environment": ["test", "dev"], "team": ["*"]}, True),
        ({"environment": ["prod"]}, False),
        ({"labels": {"tier": ["low"]}}, True),
        ({"labels": {"tier": ["low", "high"]}}, True),
        ({"labels": {"tier": ["high"]}}, False),
        ({"team": ["risk"]}, False),
        ({"action": ["apply"]}, True),
        ({"action": ["delete"]}, False),
    ],
)
def test_a_rule_is_about_what_its_match_names(match: dict[str, Any], *, about: bool) -> None:
    assert fires(book(rule(match=match)), request({})) is about


def test_a_rule_that_is_met_is_named_and_one_about_something_else_is_not() -> None:
    rules = book(
        rule(name="met", when=[{"pointer": "/spec/x", "present": True}]),
        rule(name="elsewhere", match={"team": ["risk"]}),
    )

    assert rules.evaluate(request({})) == Evaluation(fired=(), satisfied=("met",))


def test_a_rule_that_fires_gives_its_message_and_fix_with_placeholders_replaced() -> None:
    rules = book(
        rule(
            name="limit",
            when=[{"pointer": "/spec/hours", "greater_than": 1}],
            message="${team} ${environment} ${promise} ${name} ${action} ${value}",
            fix="less than ${value}",
        ),
        rule(name="hint", effect="warn", when=[{"pointer": "/spec/gone", "absent": True}]),
    )

    evaluation = rules.evaluate(request({"hours": 9}))

    (denial,), (warning,) = evaluation.denials, evaluation.warnings
    assert denial.model_dump() == {
        "rule": "limit",
        "message": "payments dev event-stream orders apply 9",
        "fix": "less than 9",
        "pointer": "/spec/hours",
    }
    assert warning.rule == "hint"


def test_a_placeholder_inside_a_value_is_not_replaced() -> None:
    rules = book(rule(when=[{"pointer": "/spec/x", "present": True}], message="${value}!"))

    (denial,) = rules.evaluate(request({"x": "${team}"})).denials
    assert denial.message == "${team}!"


@pytest.mark.parametrize(
    ("parts", "where", "problem"),
    [
        ({"message": "${enviroment}"}, "rules.0.message", "did you mean 'environment'?"),
        ({"fix": "${value}"}, "rules.0.fix", "without when"),
        ({"message": "m ${value"}, "rules.0.message", "'${value' has no closing brace"),
        ({"fix": "${team} ${"}, "rules.0.fix", "'${' has no closing brace"),
        ({"fix": "${name is ${team}"}, "rules.0.fix", "${name is ${team} is not a placeholder"),
        ({"when": [{"pointer": "spec/x", "equals": 1}]}, "rules.0.when.0.pointer", "start with"),
        ({"when": [{"pointer": "/sepc/x", "equals": 1}]}, "rules.0.when.0.pointer", "start with"),
        ({"when": [{"pointer": "/spec/x"}]}, "rules.0.when.0", "has none"),
        ({"when": [{"pointer": "/spec", "equals": 1, "in": []}]}, "rules.0.when.0", "equals, in"),
        ({"when": [{"pointer": "/spec", "matches": "("}]}, "rules.0.when.0.matches", "regular"),
        ({"when": [{"pointer": "/spec", "not_matches": "(?!a)"}]}, "not_matches", "lookaround"),
        ({"when": [{"pointer": "/spec", "less_than": None}]}, "less_than", "no value"),
    ],
)
def test_a_rule_that_could_not_work_is_refused(
    parts: dict[str, Any], where: str, problem: str
) -> None:
    (found,) = problems_in(file_of(rule(**parts)), ANYTHING)

    assert ".".join(map(str, found.place)).endswith(where)
    assert problem in f"{found.problem} {found.fix}"


@pytest.mark.parametrize(
    "parts",
    [
        {"effect": "explode"},
        {"match": {"promise": []}},
        {"match": {"action": ["create"]}},
        {"when": [{"pointer": "/spec", "greater_than": "5"}]},
        {"when": [{"pointer": "/spec", "greater_then": 5}]},
        {"message": ""},
    ],
)
def test_a_rule_that_is_misspelt_is_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        file_of(rule(**parts))


def test_the_digest_does_not_depend_on_the_order_of_the_files() -> None:
    a, b = rule(name="a"), rule(name="b")

    assert book(a, b) == book(b, a)
    assert book(a, b).digest != book(a).digest
    assert book(a).digest != book(rule(name="a", effect="warn")).digest
    assert RuleBook.of([], Environments()).evaluate(request({})) == Evaluation()


def test_the_digest_depends_on_what_labels_an_environment_has() -> None:
    labelled = Environments.of([Environment(name="dev", title="d", order=1, labels={"a": "b"})])
    renamed = Environments.of([Environment(name="dev", title="e", order=2, labels={"a": "b"})])
    other = Environments.of([Environment(name="dev", title="d", order=1, labels={"a": "c"})])

    assert RuleBook.of([], labelled).digest == RuleBook.of([], renamed).digest
    assert RuleBook.of([], labelled).digest != RuleBook.of([], other).digest


@pytest.mark.parametrize(
    ("environment", "holds"),
    [("dev", False), ("test", False), ("stage", True), ("prod", False), ("undeclared", True)],
)
def test_a_rule_holds_wherever_it_is_not_lifted(environment: str, *, holds: bool) -> None:
    file = file_of(rule(lifted_in=["dev", "t*"]))
    lifts = [Lift(rule="a-rule", environment=("prod",), reason="it is watched by people")]
    rules = RuleBook.of(file.rules, ANYTHING.environments, lifts)

    asked = request({}, resource=f"payments/{environment}/event-stream/orders")
    assert fires(rules, asked) is holds
    assert rules.evaluate(asked).satisfied == ()
    assert rules.digest != RuleBook.of(file.rules, ANYTHING.environments).digest


def test_a_rule_about_labels_holds_in_an_environment_that_is_not_declared_any_more() -> None:
    rules = book(rule(match={"labels": {"tier": ["high"]}}))

    assert fires(rules, request({}, resource="payments/gone/event-stream/orders"))


OPERATIONS = st.one_of(
    st.fixed_dictionaries({"equals": JSON}),
    st.fixed_dictionaries({"not_in": st.lists(JSON, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"greater_than": st.integers()}),
    st.fixed_dictionaries({"matches": st.just("^a")}),
    st.fixed_dictionaries({"present": st.just(value=True)}),
)


@given(OPERATIONS, JSON)
def test_any_value_is_judged_and_the_same_way_every_time(test: dict[str, Any], value: Any) -> None:
    rules = book(rule(when=[{"pointer": "/spec/x", **test}], message="${value}"))

    first, second = (rules.evaluate(request({"x": value})) for _ in range(2))

    assert first == second
    assert len(first.fired) + len(first.satisfied) == 1


@given(JSON)
def test_a_condition_and_its_opposite_never_agree(value: Any) -> None:
    for one, other in (("equals", "not_equals"), ("in", "not_in")):
        operand = [1, "a"] if "in" in one else 1
        conditions = [
            RuleCondition.model_validate({"pointer": "/spec/x", operator: operand})
            for operator in (one, other)
        ]
        assert conditions[0].holds(value) is not conditions[1].holds(value)
