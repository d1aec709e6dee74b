import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.cli.shared.documents import MAX_BYTES, events_of, read_documents
from busbar.cli.shared.exits import CommandError, ExitCode

PLAIN = {
    "team": "payments",
    "environment": "dev",
    "promise": "event-stream",
    "name": "orders",
    "spec": {"partitions": 3},
}
EVENT = {
    "specversion": "1.0",
    "id": "deploy-1",
    "source": "urn:team:payments",
    "type": "busbar.resource.apply.v1",
    "time": "2026-01-31T12:00:00Z",
    "data": PLAIN,
}


def data(text: str) -> list[dict[str, object]]:
    return [one.data for one in read_documents(text)]


def refused(text: str) -> CommandError:
    with pytest.raises(CommandError) as caught:
        events_of(read_documents(text), source="urn:test")
    assert caught.value.code is ExitCode.USAGE
    assert caught.value.fix
    return caught.value


def test_yaml_and_json_say_the_same() -> None:
    yaml = "team: payments\nenvironment: dev\npromise: event-stream\nname: orders\n"
    assert data(yaml + "spec:\n  partitions: 3\n") == [PLAIN]
    assert data(json.dumps(PLAIN)) == [PLAIN]


def test_several_documents_become_several_events_with_ids_of_their_own() -> None:
    text = "---\n" + json.dumps(PLAIN) + "\n---\n" + json.dumps({**PLAIN, "name": "refunds"})
    events = events_of(read_documents(text), source="urn:test", event_id="deploy")
    assert [(event.id, event.data["name"]) for event in events] == [
        ("deploy-1", "orders"),
        ("deploy-2", "refunds"),
    ]


def test_the_id_names_the_event_of_a_single_document() -> None:
    (event,) = events_of(read_documents(json.dumps(PLAIN)), source="urn:test", event_id="deploy")
    assert (event.id, event.source) == ("deploy", "urn:test")


def test_without_an_id_the_same_document_is_another_intent_each_time() -> None:
    first, again = (
        events_of(read_documents(json.dumps(PLAIN)), source="urn:test")[0] for _ in range(2)
    )
    assert first.id != again.id
    assert first.id.split("-")[0] == again.id.split("-")[0]


def test_a_whole_cloudevent_keeps_its_attributes() -> None:
    (event,) = events_of(read_documents(json.dumps(EVENT)), source="urn:other")
    assert (event.id, event.source) == ("deploy-1", "urn:team:payments")
    assert event.time is not None


@pytest.mark.parametrize("word", ["2026-01-31T12:00:00Z", "2026-01-31", "no", "on", "yes"])
def test_a_text_that_yaml_1_1_reads_otherwise_has_to_be_quoted(word: str) -> None:
    error = refused(f"spec:\n  day: {word}")
    assert str(error).startswith("standard input, line 2, column 8: ")
    assert "quotes" in error.fix
    assert data(f"spec: {{day: '{word}'}}") == [{"spec": {"day": word}}]


def test_a_whole_cloudevent_with_an_id_besides_is_refused() -> None:
    with pytest.raises(CommandError, match="leave --id out"):
        events_of(read_documents(json.dumps(EVENT)), source="urn:test", event_id="other")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [1", "line 1, column 4"),
        ("a: 1\na: 2", "line 2, column 1: the key 'a' is there twice"),
        ("a: 1\nb:\n- c: 1\n  c: 2", "line 4, column 3"),
        ("# 1\n- 1\n- 2", "line 2: document 1 is not a mapping"),
        ("", "no document"),
        ("--- \n---\n", "no document"),
        ("!!python/object/apply:os.system ['true']", "line 1, column 1: tags"),
        ("a: \x00", "line 1, column 4: the character U+0000"),
        ("a: *nowhere", "line 1, column 4: anchors and aliases"),
        ("a: .nan", "line 1, column 4: .nan is not a number in JSON"),
        ("a: {1: 2}", "the key 1 is not text"),
        ('a: "\\ud800"', "half of a surrogate"),
        ("[" * 2000, "deep"),
        ("a: " + "x" * MAX_BYTES, "larger than 16384 kB"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, says: str) -> None:
    assert says in str(refused(text))


def test_an_unknown_field_is_refused_with_its_line_and_the_closest_known_one() -> None:
    text = json.dumps({**PLAIN, "specc": {}}, indent=2)
    error = refused(text)
    assert "standard input, line 9: /specc is not a known field (did you mean 'spec'?" in str(error)


def test_errors_name_the_file_and_the_line_of_every_wrong_field() -> None:
    text = (
        "specversion: '1.0'\nid: a\nsource: urn:x\ntype: busbar.resource.apply.v1\ndata:\n"
        "  teem: payments\n  environment: dev\n  promise: 7\n  name: orders\n  spec: {}\n"
    )
    with pytest.raises(CommandError) as caught:
        events_of(read_documents(text, file="a/orders.yaml"), source="urn:test")
    said = str(caught.value)
    assert "a/orders.yaml, line 6: /teem is not a known field (did you mean 'team'?" in said
    assert "a/orders.yaml, line 8: /promise must be text" in said
    assert "a/orders.yaml, line 5: /team is missing" in said


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"a": 1,}', "line 1, column 9: it is not valid JSON"),
        ("a: 1", "line 1, column 1: it is not valid JSON"),
        ('{"a": 1}\n---\n{"a": 1}', "line 2, column 1: it is not valid JSON"),
        (b'{"a": "\xff"}', "it is not UTF-8 at byte 8"),
    ],
)
def test_a_file_named_json_is_read_as_json_only(content: str | bytes, says: str) -> None:
    with pytest.raises(CommandError) as caught:
        read_documents(content, file="orders.JSON")
    assert str(caught.value).startswith("orders.JSON")
    assert says in str(caught.value)


def test_json_with_tabs_and_a_byte_order_mark_is_read() -> None:
    assert data("\ufeff" + json.dumps(PLAIN, indent="\t")) == [PLAIN]
    assert data('\t{"a"\t:\t1e3\t}\t\n') == [{"a": 1000.0}]


def test_a_wrong_value_is_not_repeated() -> None:
    error = refused(json.dumps({**PLAIN, "team": "hunter2 hunter2"}))
    assert "team" in str(error)
    assert "hunter2" not in str(error)


def test_the_document_that_is_wrong_is_counted() -> None:
    text = json.dumps(PLAIN) + "\n---\n" + json.dumps({**PLAIN, "name": "Bad Name"})
    assert str(refused(text)).startswith("standard input, line 3: /name")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"type": "busbar.resource.provisioned.v1"}, "is not an intent"),
        ({"data": {**PLAIN, "more": 1}}, "more"),
        ({"id": ""}, "id"),
        ({"specversion": "0.3"}, "specversion"),
        ({"time": "yesterday"}, "time"),
    ],
)
def test_a_cloudevent_that_is_not_an_intent_is_refused(
    change: dict[str, object], says: str
) -> None:
    assert says in str(refused(json.dumps({**EVENT, **change})))


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_a_sentence(text: str) -> None:
    try:
        found = bool(read_documents(text))
    except CommandError as error:
        found = bool(str(error) and error.fix)
    assert found


@given(
    st.dictionaries(
        st.text(st.characters(categories=("L", "N")), min_size=1, max_size=8),
        st.recursive(
            st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=3),
            max_leaves=5,
        ),
        max_size=4,
    )
)
def test_json_is_read_as_json(spec: dict[str, object]) -> None:
    assert data(json.dumps({**PLAIN, "spec": spec})) == [{**PLAIN, "spec": spec}]
