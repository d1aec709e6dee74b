"""``contracts/asyncapi.yaml`` describes every topic and message, and only what there is."""

import re
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema

from busbar.messages import topics
from busbar.messages.base import Fact, JsonObject, Message
from busbar.messages.catalogue import MESSAGES
from busbar.messages.request import RequestAllowed
from tools.contracts.asyncapi import asyncapi_document, asyncapi_text
from tools.contracts.examples import example_events
from tools.contracts.names import ASYNCAPI, topics_of
from tools.contracts.services import declared

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def document() -> JsonObject:
    loaded: JsonObject = yaml.safe_load((ROOT / ASYNCAPI).read_text(encoding="utf-8"))
    return loaded


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for each in value for found in references(each)]
    if not isinstance(value, dict):
        return []
    inner = [found for each in value.values() for found in references(each)]
    return [value["$ref"], *inner] if isinstance(value.get("$ref"), str) else inner


def followed(document: JsonObject, reference: str) -> Any:
    place: Any = document
    for token in reference.removeprefix("#/").split("/"):
        place = place[token.replace("~1", "/").replace("~0", "~")]
    return place


def message_of(document: JsonObject, reference: str) -> str:
    """The type that a channel's or an operation's reference ends at."""
    target = followed(document, reference)
    return str(message_of(document, target["$ref"]) if "$ref" in target else target["name"])


def test_the_yaml_says_what_the_document_says_without_aliases() -> None:
    made = asyncapi_document(MESSAGES)
    text = asyncapi_text(made)
    assert yaml.safe_load(text) == made
    assert not re.search(r"[&*]id\d", text)


@pytest.mark.parametrize("topic", topics.INTENTS)
def test_one_service_answers_events_of_unknown_type_on_a_topic_of_intents(topic: str) -> None:
    """A topic without one would lose them without a trace, and two would answer twice."""
    found = [name for name in topics.SERVICES if topic in declared(name).unknown_type_topics]
    assert len(found) == 1


def test_faststream_reads_it_as_asyncapi_3(document: JsonObject) -> None:
    read = ApplicationSchema.model_validate(document)
    assert read.asyncapi == "3.0.0"
    assert read.channels.keys() == document["channels"].keys()
    for channel in read.channels.values():
        assert channel.bindings is not None
        assert channel.bindings.kafka is not None
        assert channel.bindings.kafka.topic == channel.address
        assert channel.bindings.kafka.partitions == topics.PARTITIONS
    assert {operation.action.value for operation in read.operations.values()} == {"send", "receive"}
    assert read.components is not None
    assert read.components.messages is not None
    for type_, message in read.components.messages.items():
        assert message.name == type_


def test_every_reference_leads_somewhere(document: JsonObject) -> None:
    found = references(document)
    assert found
    for reference in found:
        if reference.startswith("#/"):
            assert followed(document, reference)
        else:
            assert (ROOT / "contracts" / reference).is_file(), reference


def test_every_topic_is_one_channel_with_its_kafka_settings(document: JsonObject) -> None:
    assert [each["address"] for each in document["channels"].values()] == list(topics.ALL)
    for topic, channel in document["channels"].items():
        kafka = channel["bindings"]["kafka"]
        settings = topics.configuration(topic)
        stated = kafka["topicConfiguration"]
        assert stated["cleanup.policy"] == [settings["cleanup.policy"]]
        assert stated["retention.ms"] == int(settings["retention.ms"])
        assert stated.keys() == settings.keys()


def test_every_message_is_described_once_and_on_its_topics(document: JsonObject) -> None:
    assert list(document["components"]["messages"]) == [message.TYPE for message in MESSAGES]
    for message in MESSAGES:
        carried = {
            topic
            for topic, channel in document["channels"].items()
            for each in channel["messages"].values()
            if message_of(document, each["$ref"]) == message.TYPE
        }
        assert carried == set(topics_of(message))


def test_operations_name_messages_of_their_own_channel(document: JsonObject) -> None:
    for key, operation in document["operations"].items():
        channel = operation["channel"]["$ref"]
        assert key.endswith(channel.removeprefix("#/channels/busbar."))
        assert operation["messages"]
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"{channel}/messages/")


def operations(document: JsonObject, action: str) -> dict[str, set[str]]:
    """The topics of each service's operations of this kind."""
    found: dict[str, set[str]] = {service: set() for service in topics.SERVICES}
    for each in document["operations"].values():
        if each["action"] == action:
            service = each["tags"][0]["name"]
            found[service].add(each["channel"]["$ref"].removeprefix("#/channels/"))
    return found


def test_every_topic_has_a_sender_and_the_auditor(document: JsonObject) -> None:
    assert set().union(*operations(document, "send").values()) == set(topics.ALL)
    assert operations(document, "receive")["audit"] == set(topics.ALL)


def test_a_service_receives_the_topics_that_it_subscribes_to(document: JsonObject) -> None:
    subscribed = {service: set(declared(service).topics) for service in topics.SERVICES}
    assert operations(document, "receive") == subscribed


def test_a_service_sends_on_the_topics_of_what_it_emits(document: JsonObject) -> None:
    emitted = {
        service: {message.TOPIC for message in declared(service).emits}
        | {topics.FACTS_HEAD, topics.dead_letters(service)}
        for service in topics.SERVICES
    }
    assert operations(document, "send") == emitted


def test_an_operation_lists_the_messages_that_its_service_sends_or_handles(
    document: JsonObject,
) -> None:
    for operation in document["operations"].values():
        service = declared(operation["tags"][0]["name"])
        listed = {message_of(document, each["$ref"]) for each in operation["messages"]}
        if operation["action"] == "send":
            assert listed <= {message.TYPE for message in service.publishes}
        elif service.record_handler is None:
            assert listed <= {*service.handlers, RequestAllowed.TYPE}


def test_a_message_of_a_new_family_is_described_though_no_service_knows_it() -> None:
    class Suspended(Fact):
        """A budget was suspended."""

        TYPE: ClassVar[str] = "busbar.budget.suspended.v1"
        TOPIC: ClassVar[str] = "busbar.facts.budget"
        EXAMPLES: ClassVar[tuple[JsonObject, ...]] = ({"team": "payments"},)

        team: str

    made = asyncapi_document([*MESSAGES, Suspended])
    key = made["components"]["messages"][Suspended.TYPE]["bindings"]["kafka"]["key"]
    assert key["description"]
    (event,) = example_events(Suspended)
    assert event["source"] == "/busbar/example"


def test_receivers_read_in_the_group_of_their_service(document: JsonObject) -> None:
    for operation in document["operations"].values():
        if operation["action"] == "receive":
            service = operation["tags"][0]["name"]
            assert operation["bindings"]["kafka"]["groupId"]["const"] == f"busbar.{service}"


@pytest.mark.parametrize("message", MESSAGES, ids=lambda each: each.TYPE)
def test_headers_and_key_describe_what_the_examples_carry(
    document: JsonObject, message: type[Message]
) -> None:
    described = document["components"]["messages"][message.TYPE]
    shared, own = described["headers"]["allOf"]
    headers = followed(document, shared["$ref"])
    assert own["properties"]["ce_type"]["const"] == message.TYPE
    assert set(headers["required"]) == {"ce_id", "ce_source", "ce_specversion", "ce_type"}
    key = described["bindings"]["kafka"]["key"]
    for event in example_events(message):
        carried = {f"ce_{name}": value for name, value in event.items() if name != "data"}
        carried["content-type"] = carried.pop("ce_datacontenttype")
        assert carried.keys() <= headers["properties"].keys()
        for name, value in carried.items():
            about = headers["properties"][name]
            assert value == about.get("const", value)
            assert re.search(about.get("pattern", ""), value)
        assert re.search(key.get("pattern", ""), event["partitionkey"])
    assert described["correlationId"]["location"] == "$message.header#/ce_correlationid"
