"""A rule that can never fire is refused, and one that may fire is not."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from busbar.policy.domain import Promises
from busbar.policy.domain.environments import Environment, Environments
from busbar.policy.domain.never import can_hold
from busbar.policy.domain.promise import Promise
from busbar.policy.domain.rule_checks import problems_in
from busbar.policy.domain.rule_scope import Known
from busbar.policy.domain.rules import RuleCondition, RuleFile
from busbar.policy.domain.schema import with_defaults
from busbar.policy.domain.validator import validator_for
from busbar.policy.domain.values import always_present, members_of, values_at

PROPERTIES: dict[str, Any] = {
    "size": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
    "share": {"type": "number", "exclusiveMaximum": 1, "minimum": 0},
    "kind": {"enum": ["small", "large", 7]},
    "on": {"type": "boolean"},
    "text": {"type": "string", "maxLength": 5},
    "code": {"type": "string", "pattern": "^[a-z]{3}$"},
    "many": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2},
    "free": {},
    "either": {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"deep": {}}}]},
    "map": {"type": "object", "additionalProperties": {"type": "integer"}},
    "inner": {
        "type": "object",
        "default": {},
        "additionalProperties": False,
        "properties": {"set": {"const": 1, "default": 1}, "unset": {"type": "null"}},
    },
}


@pytest.fixture(scope="module")
def known(promise: Callable[..., Promise]) -> Known:
    """A promise, thing, in two versions; an older promise with other properties; environments."""
    thing, other = promise(PROPERTIES), promise({"else": {"type": "boolean"}})
    second = replace(promise({**PROPERTIES, "late": {}}).newest, version="v2")
    return Known(
        Promises(
            offered={
                "thing": replace(thing, versions={**thing.versions, "v2": second}),
                "other": replace(other, name="other"),
            },
            broken={"/promises/torn.yaml": "it is broken"},
        ),
        Environments.of(
            Environment(name=name, title=name, order=order, labels={"tier": tier})
            for order, (name, tier) in enumerate([("dev", "low"), ("prod", "high")])
        ),
    )


def problems(known: Known, *when: dict[str, Any], **rule: Any) -> list[tuple[str, str, str]]:
    """Return place, problem and fix of everything that is wrong with a rule."""
    written = {
        "name": "a",
        "effect": "deny",
        "message": "m",
        "fix": "f",
        "match": {"promise": ["thing"], "action": ["apply"]},
        "when": list(when),
        **rule,
    }
    file = RuleFile.model_validate({"busbar": "policy/v1", "rules": [written]})
    return [
        (".".join(map(str, found.place[2:])), found.problem, found.fix)
        for found in problems_in(file, known)
    ]


@pytest.mark.parametrize(
    ("when", "place", "said"),
    [
        ({"pointer": "/spec/sise", "equals": 1}, "pointer", "did you mean 'size'?"),
        ({"pointer": "/spec/sise", "absent": True}, "pointer", "did you mean 'size'?"),
        ({"pointer": "/spec/inner/sett", "equals": 1}, "pointer", "did you mean 'set'?"),
        ({"pointer": "/spec/size/x", "equals": 1}, "pointer", "a whole number"),
        ({"pointer": "/spec/many/2", "equals": "a"}, "pointer", "has no '2'"),
        ({"pointer": "/spec/many/01", "equals": "a"}, "pointer", "has no '01'"),
        ({"pointer": "/spec/many/first", "equals": "a"}, "pointer", "has no 'first'"),
        ({"pointer": "/team/x", "equals": "a"}, "pointer", "has no 'x'"),
        ({"pointer": "/Team", "equals": "a"}, "pointer", "did you mean 'team'?"),
        ({"pointer": "/spec/size", "equals": "1"}, "equals", "a whole number from 1 to 10"),
        ({"pointer": "/spec/size", "equals": 1.5}, "equals", "can never be 1.5"),
        ({"pointer": "/spec/size", "equals": 11}, "equals", "can never be 11"),
        ({"pointer": "/spec/size", "equals": None}, "equals", "can never be null"),
        ({"pointer": "/spec/size", "not_equals": 11}, "not_equals", "can never be 11"),
        ({"pointer": "/spec/size", "in": [1, 11]}, "in.1", "can never be 11"),
        ({"pointer": "/spec/size", "not_in": [1, 11]}, "not_in.1", "can never be 11"),
        ({"pointer": "/spec/size", "greater_than": 10}, "greater_than", "never holds"),
        ({"pointer": "/spec/size", "greater_than": 9.5, "_": 0}, "", ""),
        ({"pointer": "/spec/size", "less_than": 1}, "less_than", "never holds"),
        ({"pointer": "/spec/size", "matches": "1"}, "matches", "never a text"),
        ({"pointer": "/spec/size", "not_matches": "1"}, "not_matches", "never a text"),
        ({"pointer": "/spec/size", "absent": True}, "absent", "never absent"),
        ({"pointer": "/spec/size", "present": False}, "present", "never absent"),
        ({"pointer": "/spec/inner/set", "absent": True}, "absent", "never absent"),
        ({"pointer": "/spec/inner/set", "not_equals": 1}, "not_equals", "never holds"),
        ({"pointer": "/spec/inner/unset", "greater_than": 0}, "greater_than", "never a number"),
        ({"pointer": "/spec/share", "greater_than": 1}, "greater_than", "never holds"),
        ({"pointer": "/spec/share", "less_than": 0}, "less_than", "never holds"),
        ({"pointer": "/spec/kind", "equals": "smal"}, "equals", "did you mean 'small'?"),
        ({"pointer": "/spec/kind", "greater_than": 7}, "greater_than", "never holds"),
        ({"pointer": "/spec/kind", "matches": "^x"}, "matches", "never holds"),
        ({"pointer": "/spec/kind", "not_in": ["small", "large", 7]}, "not_in", "never holds"),
        ({"pointer": "/spec/on", "equals": "true"}, "equals", "true or false"),
        ({"pointer": "/spec/on", "not_in": [True, False]}, "not_in", "never holds"),
        ({"pointer": "/spec/on", "greater_than": 0}, "greater_than", "never a number"),
        ({"pointer": "/spec/text", "equals": "longer"}, "equals", "at most 5 characters"),
        ({"pointer": "/spec/text", "less_than": 3}, "less_than", "never a number"),
        ({"pointer": "/spec/code", "equals": "abcd"}, "equals", "can never be"),
        ({"pointer": "/spec/many/0", "equals": "c"}, "equals", "can never be"),
        ({"pointer": "/spec/many", "equals": ["a", "c"]}, "equals", "can never be"),
        ({"pointer": "/spec/map/x", "equals": "1"}, "equals", "a whole number"),
        ({"pointer": "/team", "equals": "Payments"}, "equals", "can never be"),
        ({"pointer": "/name", "greater_than": 3}, "greater_than", "never a number"),
        ({"pointer": "/name", "matches": "^TMP-"}, "matches", "a name of lower-case letters"),
        ({"pointer": "/name", "matches": "tmp_"}, "matches", "never holds"),
        ({"pointer": "/name", "matches": "^-tmp"}, "matches", "never holds"),
        ({"pointer": "/name", "matches": "-$"}, "matches", "never holds"),
        ({"pointer": "/name", "matches": "^$"}, "matches", "never holds"),
        ({"pointer": "/name", "matches": "^" + "a" * 64}, "matches", "never holds"),
        ({"pointer": "/name", "absent": True}, "absent", "never absent"),
        ({"pointer": "/environment", "equals": "prd"}, "equals", "did you mean 'prod'?"),
        ({"pointer": "/environment", "not_equals": "prd"}, "not_equals", "did you mean 'prod'?"),
        ({"pointer": "/environment", "matches": "^stage"}, "matches", "never holds"),
        ({"pointer": "/promise", "equals": "other"}, "equals", "can never be"),
        ({"pointer": "/version", "equals": "v3"}, "equals", "can never be"),
        ({"pointer": "/version", "equals": 1}, "equals", "can never be"),
        ({"pointer": "/expected_generation", "less_than": 0}, "less_than", "never holds"),
        ({"pointer": "/spec", "equals": 1}, "equals", "can never be 1"),
        ({"pointer": "/spec", "absent": True}, "absent", "never absent"),
    ],
)
def test_a_condition_that_never_holds_is_refused_at_its_place(
    known: Known, when: dict[str, Any], place: str, said: str
) -> None:
    if when.pop("_", None) is not None:
        assert problems(known, when) == []
        return
    ((where, problem, fix),) = problems(known, when)

    assert where == f"when.0.{place}"
    assert said in f"{problem} {fix}"
    assert when["pointer"] in problem


@pytest.mark.parametrize(
    "when",
    [
        {"pointer": "/spec/size", "equals": 10.0},
        {"pointer": "/spec/size", "less_than": 2},
        {"pointer": "/spec/share", "greater_than": 0.999},
        {"pointer": "/spec/share", "absent": True},
        {"pointer": "/spec/kind", "greater_than": 6},
        {"pointer": "/spec/kind", "matches": "^sm"},
        {"pointer": "/spec/kind", "not_matches": "^sm"},
        {"pointer": "/spec/free/any/1/thing", "equals": {"a": 1}},
        {"pointer": "/spec/either/deep", "equals": 1},
        {"pointer": "/spec/either", "matches": "a"},
        {"pointer": "/spec/map/whatever", "greater_than": 3},
        {"pointer": "/spec/many/1", "equals": "b"},
        {"pointer": "/spec/late", "present": True},
        {"pointer": "/version", "equals": "v1"},
        {"pointer": "/version", "absent": True},
        {"pointer": "/expected_generation", "equals": 0},
        {"pointer": "/team", "matches": "^pay"},
        {"pointer": "/team", "matches": "-dead-letters$"},
        {"pointer": "/team", "matches": "^-?[a-z]"},
        {"pointer": "/team", "matches": "(?i)^PAY"},
        {"pointer": "/team", "matches": "^pay-"},
        {"pointer": "/team", "matches": "^"},
        {"pointer": "/team", "not_matches": "^PAY"},
    ],
)
def test_a_condition_that_may_hold_is_accepted(known: Known, when: dict[str, Any]) -> None:
    assert problems(known, when) == []


@pytest.mark.parametrize(
    ("when", "pointer"),
    [
        ([{"greater_than": 3}, {"less_than": 4}], "/spec/size"),
        ([{"greater_than": 3}, {"less_than": 5}, {"not_equals": 4}], "/spec/size"),
        ([{"equals": 3}, {"in": [4, 5]}], "/spec/size"),
        ([{"equals": 3}, {"not_equals": 3}], "/spec/size"),
        ([{"equals": True}, {"equals": False}], "/spec/on"),
        ([{"present": True}, {"absent": True}], "/spec/on"),
        ([{"equals": True}, {"absent": True}], "/spec/on"),
        ([{"matches": "a"}, {"greater_than": 1}], "/spec/free"),
        ([{"matches": "^s"}, {"matches": "^l"}], "/spec/kind"),
        ([{"equals": "prod"}, {"not_equals": "prod"}], "/environment"),
    ],
)
def test_conditions_that_contradict_each_other_are_refused(
    known: Known, when: list[dict[str, Any]], pointer: str
) -> None:
    ((where, problem, _),) = problems(known, *({"pointer": pointer, **one} for one in when))

    assert where == "when"
    assert pointer in problem


@pytest.mark.parametrize(
    ("when", "match"),
    [
        # The newest version has late, and only the older one is named v1 in intents.
        (
            [{"pointer": "/spec/late", "present": True}, {"pointer": "/version", "equals": "v1"}],
            {"promise": ["thing"]},
        ),
        (
            [{"pointer": "/spec/on", "present": True}, {"pointer": "/spec/else", "present": True}],
            {"promise": ["thing", "other"]},
        ),
        (
            [{"pointer": "/spec/map", "absent": True}, {"pointer": "/spec/map/x", "equals": 1}],
            {"promise": ["thing"]},
        ),
    ],
)
def test_conditions_that_no_intent_satisfies_together_are_refused(
    known: Known, when: list[dict[str, Any]], match: dict[str, Any]
) -> None:
    ((where, problem, _),) = problems(known, *when, match=match)

    assert where == "when"
    assert "no intent" in problem


@pytest.mark.parametrize(
    ("rule", "place", "said"),
    [
        ({"match": {"promise": ["thnig"]}}, "match.promise.0", "did you mean 'thing'?"),
        ({"match": {"promise": ["thing", "x-*"]}}, "match.promise.1", "'x-*' fits no promise"),
        ({"match": {"promise": ["THING"]}}, "match.promise.0", "no promise"),
        ({"match": {"environment": ["prd"]}}, "match.environment.0", "did you mean 'prod'?"),
        ({"match": {"environment": ["dev", "prod-*"]}}, "match.environment.1", "fits no"),
        ({"match": {"labels": {"teer": ["low"]}}}, "match.labels.teer", "did you mean 'tier'?"),
        ({"match": {"labels": {"tier": ["lo"]}}}, "match.labels.tier.0", "did you mean 'low'?"),
        ({"match": {"environment": ["dev"], "labels": {"tier": ["high"]}}}, "match", "both"),
        ({"match": {"team": ["Payments"]}}, "match.team.0", "no team"),
        ({"match": {"team": ["pay_*"]}}, "match.team.0", "no team"),
        ({"match": {"team": ["-pay"]}}, "match.team.0", "no team"),
        ({"match": {"team": ["a" * 64]}}, "match.team.0", "no team"),
        ({"match": {"team": [""]}}, "match.team.0", "no team"),
        ({"lifted_in": ["prd"]}, "lifted_in.0", "did you mean 'prod'?"),
        ({"match": {"environment": ["dev"]}, "lifted_in": ["prod"]}, "lifted_in.0", "prod"),
        ({"lifted_in": ["*"]}, "lifted_in", "every environment"),
        ({"lifted_in": ["dev", "prod"]}, "lifted_in", "every environment"),
    ],
)
def test_a_match_that_fits_nothing_is_refused(
    known: Known, rule: dict[str, Any], place: str, said: str
) -> None:
    ((where, problem, fix),) = problems(known, **rule)

    assert where == place
    assert said in f"{problem} {fix}"


@pytest.mark.parametrize(
    "rule",
    [
        {"match": {"promise": ["torn"]}, "when": [{"pointer": "/spec/any", "equals": 1}]},
        {"match": {"promise": ["th*", "other"]}},
        {"match": {"environment": ["d*"]}, "lifted_in": []},
        {"match": {"team": ["pay-*", "[ab]x", "?"]}},
        {"match": {"action": ["delete"]}, "when": [{"pointer": "/team", "equals": "a"}]},
    ],
)
def test_a_match_that_fits_something_is_accepted(known: Known, rule: dict[str, Any]) -> None:
    assert problems(known, **rule) == []


def test_a_delete_has_no_spec_to_look_at(known: Known) -> None:
    match = {"promise": ["thing"], "action": ["delete"]}
    for operator in ({"equals": 1}, {"absent": True}):
        ((where, problem, _),) = problems(known, {"pointer": "/spec/size", **operator}, match=match)
        assert where == "when.0.pointer"
        assert "has no 'spec'" in problem


# -- what is ruled out never happens ---------------------------------------------------------------

SCALARS = st.sampled_from([None, True, False, 0, 1, 2, 3, 1.0, 2.5, "", "a", "ab", "b"])
LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.just({}),
    st.just(True),
    st.just(False),
    st.sampled_from(["integer", "number", "string", "boolean", "null"]).map(
        lambda kind: {"type": kind}
    ),
    st.builds(
        lambda kind, low, width, keywords: {
            "type": kind,
            keywords[0]: low,
            keywords[1]: low + width,
        },
        st.sampled_from(["integer", "number", ["integer", "string"]]),
        st.integers(-1, 2),
        st.integers(0, 3),
        st.tuples(
            st.sampled_from(["minimum", "exclusiveMinimum"]),
            st.sampled_from(["maximum", "exclusiveMaximum"]),
        ),
    ),
    st.lists(SCALARS, min_size=1, max_size=3).map(lambda values: {"enum": values}),
    SCALARS.map(lambda value: {"const": value}),
    st.sampled_from(["^a", "b$"]).map(lambda pattern: {"type": "string", "pattern": pattern}),
)
NAMES = st.sampled_from(["x", "y", "0"])


def _wider(child: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    properties = st.dictionaries(NAMES, child, max_size=2)
    return st.one_of(
        st.fixed_dictionaries(
            {"properties": properties},
            optional={
                "type": st.sampled_from(["object", ["object", "null"]]),
                "additionalProperties": st.just(value=False) | child,
                "unevaluatedProperties": st.just(value=False),
                "required": st.lists(NAMES, max_size=1),
                "patternProperties": st.dictionaries(st.just("^x"), child, max_size=1),
                "dependentSchemas": st.dictionaries(NAMES, child, max_size=1),
            },
        ),
        st.fixed_dictionaries(
            {"type": st.just("array")},
            optional={
                "items": child,
                "prefixItems": st.lists(child, min_size=1, max_size=2),
                "maxItems": st.integers(0, 2),
            },
        ),
        st.lists(child, min_size=1, max_size=2).map(lambda each: {"anyOf": each}),
        st.lists(child, min_size=1, max_size=2).map(lambda each: {"oneOf": each}),
        st.lists(child, min_size=1, max_size=2).map(lambda each: {"allOf": each}),
        st.builds(lambda one, other: {"if": one, "then": other, "else": one}, child, child),
        child.map(lambda one: {"not": one}),
        st.just({"$ref": "#/$defs/shared"}),
    )


SCHEMAS = st.builds(
    lambda schema, shared: {**(schema if isinstance(schema, dict) else {}), "$defs": shared},
    st.recursive(LEAVES, _wider, max_leaves=6),
    st.fixed_dictionaries({"shared": LEAVES}),
)


@st.composite
def documents(draw: st.DrawFn, schema: Any, root: dict[str, Any]) -> Any:
    """A document that has a good chance to fit ``schema``."""
    if not isinstance(schema, dict) or "not" in schema:
        return draw(SCALARS)
    for keyword in ("allOf", "anyOf", "oneOf"):
        if keyword in schema:
            return draw(documents(draw(st.sampled_from(schema[keyword])), root))
    if "if" in schema:
        return draw(documents(draw(st.sampled_from([schema["if"], schema["then"]])), root))
    if "$ref" in schema:
        return draw(documents(root["$defs"]["shared"], root))
    if "const" in schema or "enum" in schema:
        return draw(st.sampled_from(schema.get("enum", [schema.get("const")])))
    kind = schema.get("type")
    if kind == "array":
        children = [*schema.get("prefixItems", []), schema.get("items", {}), {}]
        return [draw(documents(child, root)) for child in children[: draw(st.integers(0, 3))]]
    if "properties" in schema or kind == "object":
        others = [
            *schema.get("patternProperties", {}).values(),
            *schema.get("dependentSchemas", {}).values(),
            schema.get("additionalProperties", {}),
        ]
        named = {name: draw(st.sampled_from(others)) for name in draw(st.lists(NAMES, max_size=1))}
        named |= {
            name: child for name, child in schema["properties"].items() if draw(st.booleans())
        }
        return {name: draw(documents(child, root)) for name, child in named.items()}
    return draw(SCALARS)


def paths_in(document: Any, start: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield start, document
    members = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    for name, value in members:
        yield from paths_in(value, (*start, str(name)))


def holding(value: Any) -> list[dict[str, Any]]:
    """Conditions that ``value`` satisfies, each of them as narrow as it can be."""
    found: list[dict[str, Any]] = [{"equals": value}, {"in": [value, "other"]}, {"not_in": ["?"]}]
    if isinstance(value, int | float) and not isinstance(value, bool):
        found += [{"greater_than": value - 0.5}, {"less_than": value + 0.5}]
        found += [{"greater_than": value - 1}, {"less_than": value + 1}]
    if isinstance(value, str):
        found += [{"matches": f"^{value}$"}]
    else:
        found += [{"not_matches": "a"}]
    return found


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), SCHEMAS)
def test_what_is_in_a_valid_document_is_never_said_to_be_impossible(
    data: st.DataObject, schema: dict[str, Any]
) -> None:
    document = data.draw(documents(schema, schema))
    if not validator_for(schema).is_valid(document):
        return
    for path, value in paths_in(document):
        found = values_at(schema, path)
        tests = [
            RuleCondition.model_validate({"pointer": "/spec", **test}) for test in holding(value)
        ]
        assert all(test.holds(value) for test in tests)
        assert any(values.allows(value) for values in found)
        for some in (tests, tests[3:], tests[4:], *([test] for test in tests)):
            assert any(can_hold(values, some) for values in found)


OBJECTS = st.recursive(
    st.fixed_dictionaries({"enum": st.just([1, 2])}, optional={"default": st.just(1)}),
    lambda child: st.fixed_dictionaries(
        {
            "type": st.sampled_from(["object", "object", ["object", "null"]]),
            "properties": st.dictionaries(NAMES, child, min_size=1, max_size=2),
        },
        optional={"required": st.lists(NAMES, max_size=1), "default": st.just({})},
    ),
    max_leaves=4,
)
FILLED = st.dictionaries(
    NAMES, st.sampled_from([1, None, {}]) | st.dictionaries(NAMES, st.just(1)), max_size=2
)


@settings(max_examples=400, deadline=None)
@given(OBJECTS, FILLED)
def test_what_is_said_to_be_always_there_is_in_every_valid_document(
    schema: dict[str, Any], document: Any
) -> None:
    filled = with_defaults(schema, schema, document)
    if not validator_for(schema).is_valid(filled):
        return
    for path in [(one,) for one in "xy0"] + [(one, two) for one in "xy0" for two in "xy0"]:
        found = [filled]
        for segment in path:
            found = [member for value in found for member in members_of(value, segment)]
        assert found or not always_present(schema, path)
