"""The files in ``schemas/`` are what the messages generate, and say what the models do."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError

from busbar.kernel.errors import ConfigurationError
from busbar.messages import topics
from busbar.messages.base import Fact, Intent, JsonObject, Message, Part
from busbar.messages.catalogue import FACTS, INTENTS, MESSAGES
from tools.contracts.examples import example_events
from tools.contracts.generate import files, generated_on_disk, schema_document, write
from tools.contracts.names import ASYNCAPI, MessageName, find_root, kind_of, topics_of

ROOT = Path(__file__).resolve().parents[2]

every_message = pytest.mark.parametrize("message", MESSAGES, ids=lambda each: each.TYPE)


def test_the_files_are_what_the_messages_generate() -> None:
    wanted = files(MESSAGES)
    found = generated_on_disk(ROOT)
    found[ASYNCAPI] = (ROOT / ASYNCAPI).read_text(encoding="utf-8")
    differing = {path for path in wanted.keys() | found if wanted.get(path) != found.get(path)}
    assert not differing, "run `make generate` and commit what it writes"


@every_message
def test_a_schema_is_valid_and_names_its_message(message: type[Message]) -> None:
    schema = schema_document(message)
    Draft202012Validator.check_schema(schema)
    assert schema["$id"].startswith("urn:busbar:schema:")
    assert schema["title"]
    assert len(schema["description"]) > 10
    assert schema["x-busbar"] == {
        "type": message.TYPE,
        "kind": kind_of(message),
        "topic": message.TOPIC,
        "status": message.STATUS,
    }


@every_message
def test_every_example_is_an_event_that_schema_and_model_accept(message: type[Message]) -> None:
    schema = Draft202012Validator(
        schema_document(message), format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    events = example_events(message)
    assert events, "every message shows at least one example"
    for event in events:
        assert event["specversion"] == "1.0"
        assert event["type"] == message.TYPE
        assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in event)
        assert all(isinstance(value, str) for name, value in event.items() if name != "data")
        schema.validate(event["data"])
        message.model_validate(event["data"])


@every_message
def test_a_type_follows_the_grammar_and_its_topic_the_kind(message: type[Message]) -> None:
    name = MessageName.parse(message.TYPE)
    for topic in topics_of(message):
        assert topic in topics.ALL
        if isinstance(message, type) and issubclass(message, Intent):
            assert topic == f"busbar.intents.{name.family}"
        elif topic not in topics.DEAD_LETTERS:
            assert topic == f"busbar.facts.{name.family}"


def test_intents_are_imperative_and_facts_are_past_tense() -> None:
    past = re.compile(r"(?:.*-)?(?:[a-z]+ed|undone|stuck|redriven|resent)")
    for intent in INTENTS:
        assert not past.fullmatch(MessageName.parse(intent.TYPE).verb), intent.TYPE
    for fact in FACTS:
        assert past.fullmatch(MessageName.parse(fact.TYPE).verb), fact.TYPE


def test_intents_and_facts_never_share_a_topic() -> None:
    intents = {topic for message in INTENTS for topic in topics_of(message)}
    facts = {topic for message in FACTS for topic in topics_of(message)}
    assert all(topic.startswith("busbar.intents.") for topic in intents)
    assert all(topic.startswith(("busbar.facts.", "busbar.dlq.")) for topic in facts)


def objects_with_fields(schema: Any) -> list[JsonObject]:
    if isinstance(schema, list):
        return [found for each in schema for found in objects_with_fields(each)]
    if not isinstance(schema, dict):
        return []
    inner = [found for each in schema.values() for found in objects_with_fields(each)]
    return [schema, *inner] if isinstance(schema.get("properties"), dict) else inner


@every_message
def test_intents_are_closed_and_facts_are_open_at_every_depth(message: type[Message]) -> None:
    for schema in objects_with_fields(schema_document(message)):
        if kind_of(message) == "intent":
            assert schema.get("additionalProperties") is False, (
                f"{schema.get('title')} inside an intent ignores unknown fields: an intent is read "
                'strictly at every depth, so give the part extra="forbid"'
            )
        else:
            assert "additionalProperties" not in schema


@settings(deadline=None)  # a busy machine is not a failure
@given(data=st.data())
def test_schema_and_model_agree_on_missing_and_unknown_fields(data: st.DataObject) -> None:
    message = data.draw(st.sampled_from(MESSAGES))
    example = dict(data.draw(st.sampled_from(message.EXAMPLES)))
    for name in data.draw(st.lists(st.sampled_from(sorted(example)), unique=True, max_size=2)):
        del example[name]
    if data.draw(st.booleans()):
        example["a_later_field"] = 1
    schema = Draft202012Validator(schema_document(message))
    assert schema.is_valid(example) == accepts(message, example)


def accepts(model: type[BaseModel], value: JsonObject) -> bool:
    try:
        model.model_validate(value)
    except ValidationError:
        return False
    return True


class _Wish(Intent):
    """Ask for something in a test."""

    TYPE = "busbar.test.wish.v1"
    TOPIC = "busbar.intents.test"
    STATUS = "draft"
    EXAMPLES = ({"name": "a"}, {"name": "b"})

    name: str


class _Granted(Fact):
    """State something in a test."""

    TYPE = "busbar.test.granted.v1"
    TOPIC = "busbar.facts.test"
    STATUS = "published"
    EXAMPLES = ({"part": {"name": "a"}},)

    class Inner(Part):
        """A part of it."""

        name: str

    part: Inner


def test_generating_twice_writes_once(tmp_path: Path) -> None:
    assert write(tmp_path, [_Wish]).written
    again = write(tmp_path, [_Wish])
    assert (again.written, again.removed) == ((), ())


def test_files_end_in_a_newline_and_keep_their_key_order(tmp_path: Path) -> None:
    write(tmp_path, [_Granted])
    text = (tmp_path / "schemas/test/granted/v1.json").read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert list(json.loads(text))[:5] == ["$schema", "$id", "title", "description", "x-busbar"]
    assert '"title": "Name"' not in text


def test_a_draft_that_lost_its_message_is_removed_with_its_examples(tmp_path: Path) -> None:
    write(tmp_path, [_Wish, _Granted])
    changes = write(tmp_path, [_Granted])
    assert changes.removed == (
        "schemas/test/wish/examples/v1-1.json",
        "schemas/test/wish/examples/v1-2.json",
        "schemas/test/wish/v1.json",
    )
    assert not (tmp_path / "schemas/test/wish").exists()


def test_a_published_schema_that_lost_its_message_is_an_error_and_stays(tmp_path: Path) -> None:
    write(tmp_path, [_Granted])
    with pytest.raises(ConfigurationError, match=r"schemas/test/granted/v1\.json"):
        write(tmp_path, [_Wish])
    assert (tmp_path / "schemas/test/granted/v1.json").exists()
    assert not (tmp_path / "schemas/test/wish").exists(), "nothing is written when it raises"


def test_two_messages_of_one_type_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"busbar\.test\.wish\.v1"):
        files([_Wish, _Wish])


@pytest.mark.parametrize(
    "type_", ["busbar.resource.v1", "resource.apply.v1", "busbar.A.b.v1", "busbar.a.b.v0"]
)
def test_a_type_outside_the_grammar_is_refused(type_: str) -> None:
    with pytest.raises(ConfigurationError, match="<family>"):
        MessageName.parse(type_)


def test_the_checkout_is_found_from_any_folder_inside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "services" / "deep"
    inside.mkdir(parents=True)
    (tmp_path / "schemas").mkdir()
    monkeypatch.chdir(inside)
    assert find_root(None) == tmp_path
    assert find_root(inside) == inside


def test_outside_a_checkout_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="--root"):
        find_root(None)
