"""The personal fields of a schema, and the values in a spec that they mark."""

from typing import Any

import pytest

from busbar.kernel.personal_marks import MARK, Mark, PersonalValue, marks_of, personal_values

STRING = {"type": "string"}
PERSON = {"type": "string", MARK: True}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "$defs": {"person": {"properties": {"email": PERSON, "phone": {**STRING, MARK: "email"}}}},
    "allOf": [{"properties": {"contact": PERSON}}],
    "properties": {
        "title": STRING,
        "owner": {"$ref": "#/$defs/person"},
        "members": {"type": "array", "items": {"$ref": "#/$defs/person"}},
        "readers": {"type": "array", "items": PERSON},
        "by_role": {"type": "object", "additionalProperties": PERSON},
    },
}


def test_marks_are_found_wherever_a_property_is_declared() -> None:
    assert set(marks_of(SCHEMA)) == {
        Mark(("contact",)),
        Mark(("owner", "email")),
        Mark(("owner", "phone"), "email"),
        Mark(("members", None, "email")),
        Mark(("members", None, "phone"), "email"),
        Mark(("readers", None)),
        Mark(("by_role", None)),
    }
    assert marks_of({"type": "object", "properties": {"title": STRING}}) == ()


def test_every_marked_string_has_its_place_and_the_person_it_is_about() -> None:
    spec = {
        "title": "Orders",
        "contact": "ann@example.com",
        "owner": {"email": "bob@example.com", "phone": "123"},
        "members": [{"phone": "456"}, {"email": "cid@example.com", "phone": "789"}],
        "readers": ["ann@example.com", 7, None],
        "by_role": {"dba": "dan@example.com"},
    }
    found = {one.place: (one.text, one.subject) for one in personal_values(spec, marks_of(SCHEMA))}
    assert found == {
        ("contact",): ("ann@example.com", "ann@example.com"),
        ("owner", "email"): ("bob@example.com", "bob@example.com"),
        ("owner", "phone"): ("123", "bob@example.com"),
        ("members", 0, "phone"): ("456", "456"),
        ("members", 1, "email"): ("cid@example.com", "cid@example.com"),
        ("members", 1, "phone"): ("789", "cid@example.com"),
        ("readers", 0): ("ann@example.com", "ann@example.com"),
        ("readers", 1): (None, ""),
        ("by_role", "dba"): ("dan@example.com", "dan@example.com"),
    }


@pytest.mark.parametrize(
    "spec",
    [None, [], "x", {"contact": None}, {"owner": []}, {"members": 3}],
)
def test_a_spec_of_another_shape_has_no_such_value(spec: Any) -> None:
    assert list(personal_values(spec, marks_of(SCHEMA))) == []


def test_a_schema_that_contains_itself_is_searched_to_an_end() -> None:
    schema: dict[str, Any] = {
        "$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}, "contact": PERSON}}},
        "properties": {"node": {"$ref": "#/$defs/node"}},
    }
    assert Mark(("node", "next", "contact")) in marks_of(schema)
    twice = {f"p{index}": {"$ref": "#/$defs/node"} for index in range(3)}
    wide = {"$defs": {"node": {"properties": twice}}, "properties": twice}
    assert marks_of(wide) == ()


def test_a_value_is_marked_once() -> None:
    marks = (Mark(("contact",)), Mark((None,)))
    assert list(personal_values({"contact": "ann"}, marks)) == [
        PersonalValue(("contact",), "ann", "ann")
    ]
