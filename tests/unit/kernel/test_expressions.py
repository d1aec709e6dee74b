import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.kernel.expressions import (
    MAX_DEPTH,
    RESOURCE_FIELDS,
    Condition,
    TemplateError,
    escape,
    parse,
    parse_condition,
    references,
    resolve,
    resolve_outputs,
    truthy,
)

SCOPE: dict[str, Any] = {
    "resource": {
        "id": "payments/dev/event-stream/orders",
        "team": "payments",
        "environment": "dev",
        "promise": "event-stream",
        "name": "orders",
    },
    "spec": {
        "partitions": 3,
        "ratio": 0.5,
        "compacted": False,
        "nothing": None,
        "tags": ["a", {"b": 7}],
        "labels": {"x": "y"},
        "0": "zero",
        "tricky": "${spec.partitions}",
    },
    "steps": {"topic": {"name": "payments.dev.orders"}},
}

PLAIN_TEXT = st.text().filter(lambda text: "${" not in text)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | PLAIN_TEXT


def trees(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda children: st.lists(children) | st.dictionaries(PLAIN_TEXT, children),
        max_leaves=20,
    )


FRAGMENTS = st.sampled_from(
    ["$", "{", "}", "${", "$${", "spec", ".", "steps.topic.name", "resource.id", "a", "0", " ", "!"]
)
CODE_LIKE = st.lists(FRAGMENTS | st.text(max_size=3), max_size=12).map("".join)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${spec.partitions}", 3),
        ("${spec.ratio}", 0.5),
        ("${spec.compacted}", False),
        ("${spec.nothing}", None),
        ("${spec.tags}", ["a", {"b": 7}]),
        ("${spec.tags.1.b}", 7),
        ("${spec.labels}", {"x": "y"}),
        ("${spec.0}", "zero"),
        ("${resource.team}", "payments"),
        ("${steps.topic.name}", "payments.dev.orders"),
    ],
)
def test_a_string_that_is_one_expression_becomes_the_value_with_its_type(
    text: str, value: Any
) -> None:
    resolved = resolve({"a": [text]}, SCOPE)["a"][0]

    assert resolved == value
    assert type(resolved) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${resource.team}.${resource.environment}.orders", "payments.dev.orders"),
        ("p=${spec.partitions} r=${spec.ratio} c=${spec.compacted}", "p=3 r=0.5 c=false"),
        (" ${spec.partitions}", " 3"),
        ("$${spec.partitions}", "${spec.partitions}"),
        ("$$${spec.partitions}", "$${spec.partitions}"),
        ("$ {x} }{ $x $", "$ {x} }{ $x $"),
        ("a ${spec.tricky} b", "a ${spec.partitions} b"),
    ],
)
def test_expressions_in_a_longer_string_are_written_out(text: str, value: str) -> None:
    assert resolve(text, SCOPE) == value


def test_an_expression_inside_a_value_is_never_evaluated() -> None:
    assert resolve("${spec.tricky}", SCOPE) == "${spec.partitions}"


@pytest.mark.parametrize(
    "path", ["spec.nothing", "spec.tags", "spec.labels", "spec.wild", "spec.huge"]
)
def test_null_containers_and_what_json_lacks_are_refused_inside_a_longer_string(path: str) -> None:
    scope = {"spec": {**SCOPE["spec"], "wild": math.inf, "huge": 10**5000}}

    with pytest.raises(TemplateError, match="cannot be part of a longer string") as caught:
        resolve({"inputs": ["", f"x-${{{path}}}"]}, scope)

    assert caught.value.pointer == "/inputs/1"
    assert path in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("${spec.partitions", "no closing brace"),
        ("${}", "not an expression"),
        ("${ spec.partitions }", "not an expression"),
        ("${spec..x}", "not an expression"),
        ("${spec.x()}", "not an expression"),
        ("${speck.x}", "start with"),
        ("${resource}", "has no"),
        ("${resource.owner}", "has no"),
        ("${resource.team.x}", "has no"),
        ("${steps.topic}", "names no output"),
        ("${spec.partitionz}", "nothing at"),
        ("${spec.tags.2}", "nothing at"),
        ("${spec.tags.-1}", "nothing at"),
        ("${spec.tags." + "9" * 5000 + "}", "nothing at"),
        ("${spec.partitions.x}", "nothing at"),
    ],
)
def test_what_cannot_be_resolved_is_named_with_its_place_and_a_remedy(
    text: str, problem: str
) -> None:
    with pytest.raises(TemplateError, match=problem) as caught:
        resolve({"a/b": {"~": text}}, SCOPE)

    assert caught.value.pointer == "/a~1b/~0"
    assert caught.value.fix


def test_a_key_cannot_hold_an_expression() -> None:
    with pytest.raises(TemplateError, match="values only"):
        resolve({"${spec.partitions}": 1}, SCOPE)


def test_a_tree_nested_too_deep_is_refused() -> None:
    tree: Any = "x"
    for _ in range(MAX_DEPTH):
        tree = [tree]

    assert resolve(tree, SCOPE) == tree
    with pytest.raises(TemplateError, match="deep"):
        resolve([tree], SCOPE)
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(TemplateError, match="deep"):
        parse(endless)


def test_references_are_the_paths_of_all_expressions() -> None:
    tree = {"a": ["${spec.x}-${resource.id}", "$${spec.no}"], "b": {"c": "${steps.s.out.0}"}}

    assert references(tree) == {
        ("spec", "x"),
        ("resource", "id"),
        ("steps", "s", "out", "0"),
    }
    assert [reference.pointer for reference in parse(tree).references] == ["/a/0", "/a/0", "/b/c"]


def test_a_parsed_template_resolves_like_its_tree() -> None:
    tree = {"name": "${resource.name}", "n": ["${spec.partitions}"]}

    assert parse(tree).resolve(SCOPE) == resolve(tree, SCOPE) == {"name": "orders", "n": [3]}


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("${spec.yes}", True),
        ("${spec.no}", False),
        ("${spec.none}", False),
        ("${spec.zero}", False),
        ("${spec.empty}", False),
        ("${spec.word}", True),
        ("${spec.absent}", False),
        ("${spec.absent.deeper}", False),
        ("${steps.skipped.name}", False),
        ("!${spec.yes}", False),
        ("!${spec.no}", True),
        ("!${spec.absent}", True),
    ],
)
def test_a_condition_holds_if_something_true_is_there(expression: str, *, holds: bool) -> None:
    spec: dict[str, Any] = {
        "yes": True,
        "no": False,
        "none": None,
        "zero": 0,
        "empty": [],
        "word": "false",
    }

    assert truthy(expression, {"spec": spec}) is holds


@pytest.mark.parametrize(
    "expression",
    ["", "true", "spec.x", "!!${spec.x}", "${spec.x} ", "${spec.x}${spec.y}", "${x.y}"],
)
def test_what_is_not_one_expression_is_not_a_condition(expression: str) -> None:
    with pytest.raises(TemplateError):
        truthy(expression, {})


def test_a_condition_can_be_read_without_a_scope() -> None:
    assert parse_condition("!${spec.a.b}") == Condition(path=("spec", "a", "b"), negated=True)


def test_an_output_of_a_step_that_was_left_out_is_absent() -> None:
    outputs = {
        "topic": "${steps.topic.name}",
        "dead_letters": "${steps.dead-letters.name}",
        "both": "${steps.topic.name},${steps.dead-letters.name}",
        "team": "${resource.team}",
    }

    assert resolve_outputs(outputs, SCOPE) == {"topic": "payments.dev.orders", "team": "payments"}


def test_an_output_that_a_step_did_not_give_is_an_error() -> None:
    with pytest.raises(TemplateError) as caught:
        resolve_outputs({"port": "${steps.topic.port}"}, SCOPE)

    assert caught.value.pointer == "/port"


@given(trees(SCALARS))
def test_a_tree_without_expressions_resolves_to_itself(tree: Any) -> None:
    assert resolve(tree, {}) == tree
    assert references(tree) == frozenset()


@given(st.text() | CODE_LIKE)
def test_escaped_text_resolves_to_the_text(text: str) -> None:
    assert resolve(escape(text), {}) == text
    assert references(escape(text)) == frozenset()


@given(trees(SCALARS | CODE_LIKE), PLAIN_TEXT)
def test_a_whole_expression_gives_the_very_value_that_is_there(value: Any, text: str) -> None:
    scope = {"spec": {"value": value}}

    assert resolve(["${spec.value}"], scope)[0] is value
    if isinstance(value, str):
        assert resolve(text + "x${spec.value}", scope) == text + "x" + value


@given(trees(SCALARS | CODE_LIKE | st.floats()), trees(SCALARS | st.floats()))
def test_nothing_but_a_template_error_is_ever_raised(tree: Any, value: Any) -> None:
    scope = {"spec": {"a": value, "0": value}, "resource": value, "steps": {"topic": value}}
    for attempt in (lambda: resolve(tree, scope), lambda: references(tree)):
        try:
            attempt()
        except TemplateError as error:
            assert error.fix  # noqa: PT017 - the type is what is tested


@given(CODE_LIKE)
def test_a_condition_is_a_boolean_or_a_template_error(text: str) -> None:
    try:
        held = truthy(text, SCOPE)
    except TemplateError:
        return
    assert held in {True, False}


def test_every_field_of_a_resource_can_be_referred_to() -> None:
    for name in RESOURCE_FIELDS:
        assert resolve(f"${{resource.{name}}}", SCOPE) == SCOPE["resource"][name]
