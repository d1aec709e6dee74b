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


def refused(text: str) -> CommandError:
    with pytest.raises(CommandError) as caught:
        events_of(read_documents(text), source="urn:test")
    assert caught.value.code is ExitCode.USAGE
    assert caught.value.fix
    return caught.value


def test_yaml_and_json_say_the_same() -> None:
    yaml = "team: payments\nenvironment: dev\npromise: event-stream\nname: orders\n"
    assert read_documents(yaml + "spec:\n  partitions: 3\n") == [PLAIN]
    assert read_documents(json.dumps(PLAIN)) == [PLAIN]


def test_several_documents_become_several_events_with_ids_of_their_own() -> None:
    text = "---\n" + json.dumps(PLAIN) + "\n---\n" + json.dumps({**PLAIN, "name": "refunds"})
    events = events_of(read_documents(text), source="urn:test", event_id="deploy")
    assert [(event.id, event.data["name"]) for event in events] == [
        ("deploy-1", "orders"),
        ("deploy-2", "refunds"),
    ]


def test_the_id_names_the_event_of_a_single_document() -> None:
    (event,) = events_of([dict(PLAIN)], source="urn:test", event_id="deploy")
    assert (event.id, event.source) == ("deploy", "urn:test")


def test_without_an_id_the_same_document_is_another_intent_each_time() -> None:
    first, again = (events_of([dict(PLAIN)], source="urn:test")[0] for _ in range(2))
    assert first.id != again.id
    assert first.id.split("-")[0] == again.id.split("-")[0]


def test_a_whole_cloudevent_keeps_its_attributes() -> None:
    (event,) = events_of(read_documents(json.dumps(EVENT)), source="urn:other")
    assert (event.id, event.source) == ("deploy-1", "urn:team:payments")
    assert event.time is not None


def test_a_timestamp_in_yaml_stays_text() -> None:
    (event,) = read_documents("time: 2026-01-31T12:00:00Z\nspec: {day: 2026-01-31}")
    assert event == {"time": "2026-01-31T12:00:00Z", "spec": {"day": "2026-01-31"}}


def test_words_that_yaml_1_1_turns_into_booleans_stay_text() -> None:
    (event,) = read_documents("spec: {country: no, switch: on, answer: yes}")
    assert event == {"spec": {"country": "no", "switch": "on", "answer": "yes"}}


def test_a_whole_cloudevent_with_an_id_besides_is_refused() -> None:
    with pytest.raises(CommandError, match="leave --id out"):
        events_of([dict(EVENT)], source="urn:test", event_id="other")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [1", "line 1, column 6"),
        ("a: 1\na: 2", "line 2, column 1: the key 'a' is there twice"),
        ("a: 1\nb:\n- c: 1\n  c: 2", "line 4, column 3"),
        ("- 1\n- 2", "Document 1 is not a mapping"),
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


def test_an_unknown_field_is_refused_by_name() -> None:
    assert "specc" in str(refused(json.dumps({**PLAIN, "specc": {}})))


def test_a_wrong_value_is_not_repeated() -> None:
    error = refused(json.dumps({**PLAIN, "team": "hunter2 hunter2"}))
    assert "team" in str(error)
    assert "hunter2" not in str(error)


def test_the_document_that_is_wrong_is_counted() -> None:
    text = json.dumps(PLAIN) + "\n---\n" + json.dumps({**PLAIN, "name": "Bad Name"})
    assert str(refused(text)).startswith("Document 2: ")


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
        found = read_documents(text)
    except CommandError as error:
        found = [{"refused": str(error)}]
    assert all(isinstance(item, dict) for item in found)


@given(
    st.dictionaries(
        st.text(st.characters(categories=("L", "N")), min_size=1, max_size=8),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=3),
            max_leaves=5,
        ),
        max_size=4,
    )
)
def test_json_is_read_as_json(spec: dict[str, object]) -> None:
    assert read_documents(json.dumps({**PLAIN, "spec": spec})) == [{**PLAIN, "spec": spec}]
