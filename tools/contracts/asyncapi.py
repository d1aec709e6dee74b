"""``contracts/asyncapi.yaml``: topics, messages, senders and receivers, as AsyncAPI 3.0.0.

Follows https://www.asyncapi.com/docs/reference/specification/v3.0.0 and the Kafka bindings 0.5.0
(https://github.com/asyncapi/bindings/tree/master/kafka). Payloads point into ``schemas/``.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import yaml

from busbar.messages import topics
from busbar.messages.base import FORMATS, JsonObject, Message
from tools.contracts.names import MessageName, topics_of
from tools.contracts.services import receivers, senders
from tools.contracts.version import VERSION

BINDING = "0.5.0"

_HEADER = (
    "# Generated from services/busbar/messages and the declarations of the services by\n"
    "# `make generate`; edit those.\n"
)

_REQUIRED: dict[str, JsonObject] = {
    "ce_specversion": {"const": "1.0"},
    "ce_id": {"minLength": 1, "description": "Unique for its source, permanently."},
    "ce_source": {"format": "uri-reference", "minLength": 1, "description": "The producer."},
    "ce_type": {"pattern": r"^busbar\.", "description": "The message in the value."},
}
_OPTIONAL: dict[str, JsonObject] = {
    "ce_subject": {"description": "The resource or the subscription that it is about."},
    "ce_time": {"format": "date-time", "description": "The time of the event; RFC 3339."},
    "content-type": {"const": "application/json", "description": "The form of the value."},
    "ce_correlationid": {"description": "The operation that this belongs to."},
    "ce_causationid": {"description": "The id of the event that caused this one."},
    "ce_partitionkey": {"description": "The record's key."},
    "ce_traceparent": {
        "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
        "description": "W3C trace context of the origin, not of the hop.",
    },
    "ce_authtype": {
        "enum": ["user", "service_account", "app_user", "system", "unauthenticated", "unknown"],
        "description": "The kind of the principal in authid (CloudEvents Auth Context extension).",
    },
    "ce_authid": {
        "description": "The principal that publishes: of a fact, the service; of an intent, who "
        "asks. Never a credential."
    },
    "ce_onbehalfof": {
        "description": "Of a fact: the verified principal that asked for what began the chain. Of "
        "an intent: only services may set it."
    },
    "ce_expirytime": {
        "format": "date-time",
        "description": "The intent is not acted on after this time.",
    },
    "ce_relay": {"description": "The relay that published it; each relay numbers its own events."},
    "ce_sequence": {
        "pattern": "^[0-9]{20}$",
        "description": "The relay's gapless number, from 1, in 20 digits.",
    },
}


def asyncapi_document(messages: Sequence[type[Message]]) -> JsonObject:
    """Return the AsyncAPI document of all topics, operations and ``messages``."""
    by_topic = {
        topic: [message for message in messages if topic in topics_of(message)]
        for topic in topics.ALL
    }
    return {
        "asyncapi": "3.0.0",
        "id": "urn:busbar:asyncapi",
        "info": {
            "title": "busbar",
            "version": VERSION,
            "x-busbar-status": FORMATS,
            "description": (
                "A platform API on a message bus. Every record is a CloudEvent 1.0 in Kafka's "
                "binary or structured mode; headers are shown for binary mode. Publish an intent, "
                "read the facts. Payload schemas are JSON Schema 2020-12. A draft "
                "may change in any way; what is published is frozen."
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
    """Return ``document`` as the YAML that is committed."""
    return _HEADER + yaml.dump(
        document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100
    )


class _Plain(yaml.SafeDumper):
    """A dumper without anchors: a repeated value is written again."""

    def ignore_aliases(self, data: Any) -> bool:
        """Return True for every ``data``."""
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
        return "Intents: any principal with write access may ask."
    if topic in topics.FACTS:
        return "Facts: only the relays of the services below publish; kept indefinitely."
    return "Records that could not be handled, kept whole and encrypted."


def _typed(name: str, value: str) -> Any:
    """Convert a topic setting to the type that the Kafka binding gives it."""
    if name == "cleanup.policy":
        return value.split(",")
    return int(value) if value.lstrip("-").isdigit() else value


def _operations(topic: str, messages: Sequence[type[Message]]) -> list[tuple[str, JsonObject]]:
    """Every service's operations on ``topic``, with the messages that it sends or handles."""
    operations = []
    for action, services in (("send", senders), ("receive", receivers)):
        for service in topics.SERVICES:
            own = [message for message in messages if service in services(topic, message)]
            if own:
                name = f"{service}.{action}.{topic.removeprefix('busbar.')}"
                operations.append((name, _operation(topic, action, service, own)))
    return operations


def _operation(
    topic: str, action: str, service: str, messages: Sequence[type[Message]]
) -> JsonObject:
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
    return operation


def _key(topic: str) -> JsonObject:
    key = topics.key_of(topic)
    pattern = {} if key.pattern is None else {"pattern": key.pattern}
    return {"type": "string", **pattern, "description": key.description}


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
        "bindings": {"kafka": {"key": _key(message.TOPIC), "bindingVersion": BINDING}},
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
