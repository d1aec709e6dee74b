"""Edits of a published schema that break a producer or a reader, and edits that do not."""

import copy
import json
import sys
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from busbar.kernel.errors import ConfigurationError
from busbar.messages.base import JsonObject
from busbar.messages.catalogue import MESSAGES
from tools.contracts.breaking import ADVICE, breaking
from tools.contracts.generate import schema_document

STEP: JsonObject = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "wait": {"type": "integer", "default": 30},
        "then": {"$ref": "#/$defs/Step"},
    },
}
BODY: JsonObject = {
    "type": "object",
    "required": ["id", "name", "state", "step"],
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 10, "title": "Name"},
        "state": {"type": "string", "enum": ["on", "off"]},
        "count": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}], "default": None},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "spec": {"type": "object", "additionalProperties": True},
        "step": {"$ref": "#/$defs/Step"},
    },
    "$defs": {"Step": STEP},
}


class Edit(NamedTuple):
    """An edit: where, and what is put there (GONE: taken away), and whom it breaks."""

    what: str
    keys: list[str | int]
    value: Any
    breaks_intent: bool
    breaks_fact: bool


GONE = object()
P = "properties"
EDITS = [
    Edit("an optional field more", [P, "extra"], {"type": "string"}, False, False),
    Edit(
        "an optional nested field more",
        ["$defs", "Step", P, "extra"],
        {"type": "null"},
        False,
        False,
    ),
    Edit(
        "a required field more", ["required"], ["id", "name", "state", "step", "extra"], True, True
    ),
    Edit("a required field less", [P, "id"], GONE, True, True),
    Edit("an optional field less", [P, "tags"], GONE, True, True),
    Edit("a nested field less", ["$defs", "Step", P, "wait"], GONE, True, True),
    Edit("a required field made optional", ["required"], ["id", "name", "state"], False, True),
    Edit(
        "an optional field made required",
        ["required"],
        ["id", "name", "state", "step", "count"],
        True,
        True,
    ),
    Edit("another type", [P, "id"], {"type": "integer"}, True, True),
    Edit("another nested type", ["$defs", "Step", P, "wait", "type"], "string", True, True),
    Edit(
        "an integer becomes a number", ["$defs", "Step", P, "wait", "type"], "number", False, True
    ),
    Edit("a value more", [P, "state", "enum"], ["on", "off", "unknown"], False, True),
    Edit("a value less", [P, "state", "enum"], ["on"], True, True),
    Edit("values in another order", [P, "state", "enum"], ["off", "on"], False, False),
    Edit("any value", [P, "state", "enum"], GONE, False, True),
    Edit("null allowed", [P, "name"], {"anyOf": [BODY[P]["name"], {"type": "null"}]}, False, True),
    Edit("null forbidden", [P, "count", "anyOf"], [{"type": "integer", "minimum": 1}], True, True),
    Edit(
        "alternatives in another order",
        [P, "count", "anyOf"],
        BODY[P]["count"]["anyOf"][::-1],
        False,
        False,
    ),
    Edit("a higher minimum", [P, "count", "anyOf", 0, "minimum"], 2, True, True),
    Edit("a lower minimum", [P, "count", "anyOf", 0, "minimum"], 0, False, True),
    Edit("no minimum", [P, "count", "anyOf", 0, "minimum"], GONE, False, True),
    Edit("a shorter text", [P, "name", "maxLength"], 9, True, True),
    Edit("a longer text", [P, "name", "maxLength"], 11, False, True),
    Edit("fewer items", [P, "tags", "maxItems"], 2, True, True),
    Edit("more items", [P, "tags", "maxItems"], 4, False, True),
    Edit("distinct items", [P, "tags", "uniqueItems"], True, True, True),
    Edit("other items", [P, "tags", "items", "type"], "integer", True, True),
    Edit("another pattern", [P, "name", "pattern"], "^[a-y]+$", True, True),
    Edit("no pattern", [P, "name", "pattern"], GONE, False, True),
    Edit("a pattern more", ["$defs", "Step", P, "name", "pattern"], "^a", True, True),
    Edit("another format", [P, "id", "format"], "date-time", True, True),
    Edit("no format", [P, "id", "format"], GONE, False, True),
    Edit("a format more", ["$defs", "Step", P, "name", "format"], "uuid", True, True),
    Edit(
        "another type in a map",
        [P, "labels", "additionalProperties", "type"],
        "integer",
        True,
        True,
    ),
    Edit("a typed map", [P, "spec", "additionalProperties"], {"type": "string"}, True, True),
    Edit("an untyped map", [P, "labels", "additionalProperties"], True, False, True),
    Edit(
        "a map becomes an object",
        [P, "spec"],
        {"type": "object", P: {"a": {"type": "string"}}},
        True,
        True,
    ),
    Edit("another default", ["$defs", "Step", P, "wait", "default"], 60, True, True),
    Edit("another description", [P, "name", "description"], "What it is called.", False, False),
    Edit("another title", [P, "name", "title"], "Called", False, False),
    Edit("a mark of ours", [P, "name", "x-personal"], True, False, False),
    Edit("the same written out", [P, "step"], {**STEP, "description": "The first."}, False, False),
    Edit("another type of event", ["x-busbar", "type"], "busbar.test.edited.v1", True, True),
    Edit("another topic", ["x-busbar", "topic"], "busbar.facts.elsewhere", True, True),
    Edit("another name", ["$id"], "urn:busbar:schema:test:edited:v1", True, True),
    Edit("back to a draft", ["x-busbar", "status"], "draft", True, True),
]
every_edit = pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.what)


def document(kind: str, *, status: str = "published", body: JsonObject = BODY) -> JsonObject:
    """A whole schema document; an intent's objects are closed, a fact's are open."""
    about = {
        "type": "busbar.test.edit.v1",
        "kind": kind,
        "topic": f"busbar.{kind}s.test",
        "status": status,
    }
    made = copy.deepcopy({"$id": "urn:busbar:schema:test:edit:v1", "x-busbar": about, **body})
    return closed(made) if kind == "intent" else made


def closed(schema: JsonObject) -> JsonObject:
    for each in (schema, *schema["$defs"].values()):
        each["additionalProperties"] = False
    return schema


def edited(schema: JsonObject, keys: list[str | int], value: Any) -> JsonObject:
    made = copy.deepcopy(schema)
    place: Any = made
    for key in keys[:-1]:
        place = place[key]
    if value is GONE:
        del place[keys[-1]]
        if keys[-1] in made["required"] and keys[0] == P:
            made["required"].remove(keys[-1])
    else:
        place[keys[-1]] = copy.deepcopy(value)
    return made


@every_edit
def test_an_edit_of_an_intent(edit: Edit) -> None:
    old = document("intent")
    new = closed(edited(old, edit.keys, edit.value))
    if edit.what == "the same written out":
        new[P]["step"]["additionalProperties"] = False
    problems = [str(problem) for problem in breaking(old, new)]
    assert bool(problems) == edit.breaks_intent, problems


@every_edit
def test_an_edit_of_a_fact(edit: Edit) -> None:
    old = document("fact")
    problems = [str(problem) for problem in breaking(old, edited(old, edit.keys, edit.value))]
    assert bool(problems) == edit.breaks_fact, problems


def test_an_intent_cannot_become_a_fact() -> None:
    old, new = document("fact"), document("fact")
    new["x-busbar"]["kind"] = "intent"
    assert [problem.pointer for problem in breaking(old, new)] == ["/x-busbar/kind"]


def test_a_draft_may_change_in_any_way_and_be_published() -> None:
    new = edited(document("fact"), [P, "id"], GONE)
    assert breaking(document("fact", status="draft"), new) == []


def test_a_renamed_field_is_named_twice_with_its_pointers() -> None:
    old = document("fact")
    new = edited(edited(old, [P, "tags"], GONE), [P, "labels_of"], {"type": "array"})
    (problem,) = breaking(old, new)
    assert problem.pointer == "/properties/tags"
    assert "the optional field tags is gone" in problem.what
    assert "v2" in ADVICE


def test_a_problem_inside_a_shared_part_is_reported_once_and_where_it_is() -> None:
    old = document("fact")
    old[P]["other"] = {"$ref": "#/$defs/Step"}
    (problem,) = breaking(old, edited(old, ["$defs", "Step", P, "wait", "default"], 5))
    assert problem.pointer == "/$defs/Step/properties/wait/default"
    assert "30" in problem.what
    assert "5" in problem.what


def test_the_consequence_says_who_is_affected() -> None:
    intent = document("intent")
    (refused,) = breaking(intent, closed(edited(intent, [P, "state", "enum"], ["on"])))
    assert "would be refused" in refused.what
    fact = document("fact")
    (unread,) = breaking(fact, edited(fact, [P, "state", "enum"], ["on"]))
    assert "recorded facts could no longer be read" in unread.what
    (unexpected,) = breaking(fact, edited(fact, [P, "state", "enum"], ["on", "off", "x"]))
    assert "readers of the old form" in unexpected.what


def test_a_field_with_a_slash_is_pointed_to_by_its_escaped_name() -> None:
    old = edited(document("fact"), [P, "a/b~c"], {"type": "string"})
    (problem,) = breaking(old, edited(old, [P, "a/b~c"], {"type": "integer"}))
    assert problem.pointer == "/properties/a~1b~0c"


def test_a_map_whose_values_get_a_type_is_seen_by_our_own_walk() -> None:
    old = document("fact")
    (problem,) = breaking(old, edited(old, [P, "spec", "additionalProperties"], {"type": "null"}))
    assert problem.pointer == "/properties/spec/additionalProperties"


def test_a_reference_that_leads_nowhere_is_a_problem_not_a_crash() -> None:
    old = document("fact")
    new = edited(old, [P, "step"], {"$ref": "#/$defs/Missing"})
    assert breaking(old, new)


def test_an_edit_that_only_jsoncompat_understands_is_refused_in_words() -> None:
    old = document("intent")
    new = edited(old, [P, "state"], {"allOf": [{"type": "string"}, {"enum": ["on"]}]})
    assert breaking(old, new)


def test_without_jsoncompat_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsoncompat", None)
    old = document("fact")
    with pytest.raises(ConfigurationError, match=r"requirements/dev\.txt"):
        breaking(old, edited(old, [P, "id", "type"], "integer"))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda each: each.TYPE)
def test_no_message_breaks_itself(message: Any) -> None:
    schema = schema_document(message)
    assert [each for each in breaking(schema, schema) if each.pointer != "/x-busbar/status"] == []


@pytest.mark.parametrize("message", MESSAGES, ids=lambda each: each.TYPE)
def test_every_message_notices_that_any_of_its_fields_is_gone(message: Any) -> None:
    old = schema_document(message)
    old["x-busbar"]["status"] = "published"
    for name in old[P]:
        new = copy.deepcopy(old)
        del new[P][name]
        new["required"] = [each for each in old["required"] if each != name]
        assert any(each.pointer == f"/properties/{name}" for each in breaking(old, new)), name


unhurried = settings(deadline=None)  # a busy machine is not a failure
names = st.sampled_from(["a", "b", "c", "d"])
leaves = st.one_of(
    st.sampled_from([{"type": "string"}, {"type": "integer"}, {"type": "boolean"}, {}]),
    st.builds(lambda values: {"enum": values}, st.lists(names, min_size=1, unique=True)),
    st.builds(lambda low: {"type": "integer", "minimum": low}, st.integers(0, 3)),
    st.builds(lambda most: {"type": "string", "maxLength": most}, st.integers(0, 3)),
)
fields = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(lambda one: {"anyOf": [one, {"type": "null"}]}, inner),
        st.builds(lambda values: {"type": "object", "additionalProperties": values}, inner),
    ),
    max_leaves=3,
)


@st.composite
def bodies(draw: st.DrawFn) -> JsonObject:
    properties = draw(st.dictionaries(names, fields, min_size=1))
    required = draw(st.lists(st.sampled_from(sorted(properties)), unique=True))
    return {"type": "object", P: properties, "required": required, "$defs": {}}


@st.composite
def edits(draw: st.DrawFn) -> tuple[JsonObject, JsonObject]:
    """A body and the same with a field or two replaced, added, dropped or demanded."""
    old = draw(bodies())
    new = copy.deepcopy(old)
    for name in draw(st.lists(names, min_size=1, max_size=2)):
        change = draw(st.sampled_from(["put", "drop", "wrap", "toggle"]))
        if change == "put":
            new[P][name] = draw(fields)
        elif change == "drop":
            new[P].pop(name, None)
        elif change == "wrap" and name in new[P]:
            new[P][name] = {"anyOf": [new[P][name], draw(fields)]}
        elif change == "toggle":
            new["required"] = sorted({*new["required"]} ^ {name})
    new["required"] = [name for name in new["required"] if name in new[P]]
    return old, new


kinds = st.sampled_from(["intent", "fact"])


@unhurried
@given(body=bodies(), kind=kinds)
def test_a_schema_never_breaks_itself(body: JsonObject, kind: str) -> None:
    assert breaking(document(kind, body=body), document(kind, body=body)) == []


@unhurried
@given(body=bodies(), kind=kinds, field=fields)
def test_a_new_optional_field_breaks_no_reader(
    body: JsonObject, kind: str, field: JsonObject
) -> None:
    old = document(kind, body=body)
    assert breaking(old, edited(old, [P, "new"], field)) == []


@unhurried
@given(body=bodies(), kind=kinds, field=fields)
def test_a_new_required_field_breaks_everybody(
    body: JsonObject, kind: str, field: JsonObject
) -> None:
    old = document(kind, body=body)
    new = edited(old, [P, "new"], field)
    new["required"].append("new")
    assert breaking(old, new)


@unhurried
@given(body=bodies(), kind=kinds, data=st.data())
def test_a_field_that_is_gone_breaks_everybody(
    body: JsonObject, kind: str, data: st.DataObject
) -> None:
    old = document(kind, body=body)
    assert breaking(old, edited(old, [P, data.draw(st.sampled_from(sorted(body[P])))], GONE))


@unhurried
@given(body=bodies(), data=st.data())
def test_a_field_that_may_be_left_out_now_breaks_only_the_readers_of_facts(
    body: JsonObject, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(body[P])))
    must = {**body, "required": sorted({*body["required"], name})}
    may = {**body, "required": [each for each in must["required"] if each != name]}
    assert breaking(document("intent", body=must), document("intent", body=may)) == []
    assert breaking(document("fact", body=must), document("fact", body=may))


VALUES = [None, True, 0, 2, 5, "", "a", "b", "long text", [], ["a"], [1], {}, {"x": 1}, {"x": "a"}]


@settings(max_examples=200, deadline=None)
@given(edit=edits(), data=st.data())
def test_an_intent_that_passes_accepts_all_that_the_old_one_accepted(
    edit: tuple[JsonObject, JsonObject], data: st.DataObject
) -> None:
    old, new = edit
    before, after = document("intent", body=old), document("intent", body=new)
    if breaking(before, after):
        return
    value = data.draw(st.dictionaries(names, st.sampled_from(VALUES)))
    if Draft202012Validator(before).is_valid(value):
        assert Draft202012Validator(after).is_valid(value), json.dumps([before, after, value])


@settings(max_examples=200, deadline=None)
@given(edit=edits(), data=st.data())
def test_a_fact_that_passes_is_read_by_old_and_new_readers_alike(
    edit: tuple[JsonObject, JsonObject], data: st.DataObject
) -> None:
    old, new = edit
    if breaking(document("fact", body=old), document("fact", body=new)):
        return
    value = data.draw(st.dictionaries(names, st.sampled_from(VALUES)))
    if Draft202012Validator({**new, "additionalProperties": False}).is_valid(value):
        assert Draft202012Validator(old).is_valid(value)
    if Draft202012Validator({**old, "additionalProperties": False}).is_valid(value):
        assert Draft202012Validator(new).is_valid(value)
