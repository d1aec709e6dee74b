"""``contracts/asyncapi.yaml``: who sends what to whom, as AsyncAPI 3.0.0.

Follows https://www.asyncapi.com/docs/reference/specification/v3.0.0 and the Kafka bindings 0.5.0
(https://github.com/asyncapi/bindings/tree/master/kafka). Payloads point into ``schemas/``.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from busbar.kernel.resource import SLUG
from busbar.messages import topics
from busbar.messages.base import JsonObject, Message
from tools.contracts.examples import OWNERS
from tools.contracts.names import MessageName, topics_of

BINDING = "0.5.0"

_HEADER = "# Generated from services/busbar/messages by `make generate`; edit the models.\n"
_RESOURCE_KEY = {
    "type": "string",
    "pattern": f"^{SLUG}(/{SLUG}){{3}}$",
    "description": "The resource, team/environment/promise/name: order is kept per resource.",
}
_SUBSCRIPTION_KEY = {
    "type": "string",
    "pattern": f"^{SLUG}/{SLUG}$",
    "description": "The subscription, team/name.",
}
_DEAD_LETTER_KEY = {
    "type": "string",
    "description": "The dead letter's id or its record's own key.",
}
_RELAY_KEY = {"type": "string", "pattern": f"^{SLUG}$", "description": "The relay."}

_KEYS = {
    topics.INTENTS_RESOURCE: _RESOURCE_KEY,
    topics.FACTS_POLICY: _RESOURCE_KEY,
    topics.FACTS_RESOURCE: _RESOURCE_KEY,
    topics.INTENTS_SUBSCRIPTION: _SUBSCRIPTION_KEY,
    topics.FACTS_NOTIFICATION: _SUBSCRIPTION_KEY,
    topics.FACTS_HEAD: _RELAY_KEY,
}


@dataclass(frozen=True, slots=True)
class Flow:
    """Which services send to a topic and which receive from it."""

    sends: tuple[str, ...]
    receives: tuple[str, ...]


FLOWS: dict[str, Flow] = {
    topics.INTENTS_RESOURCE: Flow(sends=("gateway",), receives=("policy", "audit")),
    topics.INTENTS_SUBSCRIPTION: Flow(sends=("gateway",), receives=("notifier", "audit")),
    topics.INTENTS_DEAD_LETTER: Flow(sends=("gateway",), receives=topics.SERVICES),
    topics.FACTS_POLICY: Flow(
        sends=(OWNERS[topics.FACTS_POLICY],),
        receives=("provisioner", "audit", "notifier", "gateway"),
    ),
    topics.FACTS_RESOURCE: Flow(
        sends=(OWNERS[topics.FACTS_RESOURCE],),
        receives=("policy", "audit", "notifier", "gateway"),
    ),
    topics.FACTS_NOTIFICATION: Flow(
        sends=(OWNERS[topics.FACTS_NOTIFICATION],), receives=("audit", "gateway")
    ),
    topics.FACTS_HEAD: Flow(sends=topics.SERVICES, receives=("audit",)),
    **{
        topics.dead_letters(service): Flow(sends=(service,), receives=("audit",))
        for service in topics.SERVICES
    },
}
"""Producers outside the platform may send intents too; these are the platform's own services."""

_REQUIRED: dict[str, JsonObject] = {
    "ce_specversion": {"const": "1.0"},
    "ce_id": {"minLength": 1, "description": "Unique for its source, for ever."},
    "ce_source": {"format": "uri-reference", "minLength": 1, "description": "Who says it."},
    "ce_type": {"pattern": r"^busbar\.", "description": "Which message the value is."},
}
_OPTIONAL: dict[str, JsonObject] = {
    "ce_subject": {"description": "What it is about: the resource or the subscription."},
    "ce_time": {"format": "date-time", "description": "When it happened; RFC 3339."},
    "content-type": {"const": "application/json", "description": "The form of the value."},
    "ce_correlationid": {"description": "The operation that this belongs to."},
    "ce_causationid": {"description": "The id of the event that caused this one."},
    "ce_partitionkey": {"description": "The record's key."},
    "ce_traceparent": {
        "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
        "description": "W3C trace context of the origin, not of the hop.",
    },
    "ce_authtype": {"description": "What kind of principal asked: user, service_account, …"},
    "ce_authid": {"description": "Which principal asked; never a credential."},
    "ce_expirytime": {
        "format": "date-time",
        "description": "After this moment the intent is not acted on.",
    },
    "ce_relay": {"description": "The relay that published it; sequences are counted per relay."},
    "ce_sequence": {
        "pattern": "^[0-9]{20}$",
        "description": "The relay's gapless number, from 1, in 20 digits.",
    },
}


def asyncapi_document(messages: Sequence[type[Message]]) -> JsonObject:
    """The AsyncAPI document of all topics, operations and ``messages``."""
    by_topic = {
        topic: [message for message in messages if topic in topics_of(message)]
        for topic in topics.ALL
    }
    return {
        "asyncapi": "3.0.0",
        "id": "urn:busbar:asyncapi",
        "info": {
            "title": "busbar",
            "version": "1.0.0",
            "description": (
                "A platform API on a message bus. Every record is a CloudEvent 1.0 in Kafka's "
                "binary or structured mode; headers are shown for binary mode. Publish an intent, "
                "read the facts. Payload schemas are JSON Schema 2020-12; a published one is "
                "frozen."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic: _channel(topic, sent) for topic, sent in by_topic.items()},
        "operations": {
            key: operation
            for topic, sent in by_topic.items()
            for key, operation in _operations(topic, sent)
        },
        "components": {
            "messages": {message.TYPE: _message(message) for message in messages},
            "schemas": {"CloudEventHeaders": _headers()},
        },
    }


def asyncapi_text(document: JsonObject) -> str:
    """``document`` as the YAML that is committed."""
    return _HEADER + yaml.dump(
        document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100
    )


class _Plain(yaml.SafeDumper):
    """YAML without anchors: the same thing twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always."""
        del data
        return True


def _channel(topic: str, messages: Sequence[type[Message]]) -> JsonObject:
    return {
        "address": topic,
        "description": _about(topic),
        "messages": {
            message.TYPE: {"$ref": f"#/components/messages/{message.TYPE}"} for message in messages
        },
        "bindings": {
            "kafka": {
                "topic": topic,
                "partitions": topics.PARTITIONS,
                "topicConfiguration": {
                    name: _typed(name, value) for name, value in topics.configuration(topic).items()
                },
                "bindingVersion": BINDING,
            }
        },
    }


def _about(topic: str) -> str:
    if topic in topics.INTENTS:
        return "Intents: anybody whom the ACLs let in may ask."
    if topic in topics.FACTS:
        return "Facts: only their owner's relay publishes; kept for ever."
    return "Records that could not be handled, kept whole and encrypted."


def _typed(name: str, value: str) -> Any:
    """A topic setting in the type that the Kafka binding gives it."""
    if name == "cleanup.policy":
        return value.split(",")
    return int(value) if value.lstrip("-").isdigit() else value


def _operations(topic: str, messages: Sequence[type[Message]]) -> list[tuple[str, JsonObject]]:
    flow = FLOWS[topic]
    roles = [(service, "send") for service in flow.sends]
    roles += [(service, "receive") for service in flow.receives]
    operations = []
    for service, action in roles:
        operation: JsonObject = {
            "action": action,
            "channel": {"$ref": f"#/channels/{topic}"},
            "summary": f"{service} {action}s {topic.removeprefix('busbar.')}",
            "tags": [{"name": service}],
            "messages": [
                {"$ref": f"#/channels/{topic}/messages/{message.TYPE}"} for message in messages
            ],
        }
        if action == "receive":
            group = {"type": "string", "const": f"busbar.{service}"}
            operation["bindings"] = {"kafka": {"groupId": group, "bindingVersion": BINDING}}
        operations.append((f"{service}.{action}.{topic.removeprefix('busbar.')}", operation))
    return operations


def _message(message: type[Message]) -> JsonObject:
    text = inspect.getdoc(message) or message.TYPE
    name = MessageName.parse(message.TYPE)
    return {
        "name": message.TYPE,
        "title": message.__name__,
        "summary": text.splitlines()[0],
        "description": text,
        "contentType": "application/json",
        "headers": {
            "allOf": [
                {"$ref": "#/components/schemas/CloudEventHeaders"},
                {"type": "object", "properties": {"ce_type": {"const": message.TYPE}}},
            ]
        },
        "payload": {"$ref": f"../{name.schema_path}"},
        "correlationId": {
            "description": "The operation; the same in the intent and in all its facts.",
            "location": "$message.header#/ce_correlationid",
        },
        "bindings": {
            "kafka": {"key": _KEYS.get(message.TOPIC, _DEAD_LETTER_KEY), "bindingVersion": BINDING}
        },
        "tags": [{"name": message.STATUS}],
    }


def _headers() -> JsonObject:
    return {
        "type": "object",
        "description": "CloudEvents attributes as Kafka headers, UTF-8 (Kafka protocol binding).",
        "required": list(_REQUIRED),
        "properties": {
            name: {"type": "string", **about} for name, about in (_REQUIRED | _OPTIONAL).items()
        },
    }
