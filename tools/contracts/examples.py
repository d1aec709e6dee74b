"""Examples of every message as whole CloudEvents; every value is derived, so files are stable."""

from typing import Any

from busbar.kernel.ids import event_id, operation_id, operation_text
from busbar.messages import topics
from busbar.messages.base import JsonObject, Message
from tools.contracts.names import MessageName, kind_of
from tools.contracts.services import sender_of

TIME = "2026-01-01T00:00:00.000000Z"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PRODUCER = "urn:team:payments"

UNKNOWN = "example"
"""Stands for the sender of a fact that no service emits yet."""


def example_events(message: type[Message]) -> list[JsonObject]:
    """Return each of ``message``'s examples as a CloudEvent in structured mode."""
    make = _intent if kind_of(message) == "intent" else _fact
    return [make(message, number, data) for number, data in enumerate(message.EXAMPLES, start=1)]


def _intent(message: type[Message], number: int, data: JsonObject) -> JsonObject:
    name = MessageName.parse(message.TYPE)
    id_ = f"{name.family}-{name.verb}-{number}"
    extensions = {
        "correlationid": operation_text(PRODUCER, id_),
        "traceparent": TRACEPARENT,
        "authtype": "service_account",
        "authid": "payments-ci",
    }
    return _event(message, id_=id_, source=PRODUCER, data=data, extensions=extensions)


def _fact(message: type[Message], number: int, data: JsonObject) -> JsonObject:
    service = sender_of(message) or data.get("relay") or data.get("service") or UNKNOWN
    source = f"/busbar/{service}"
    intent: Any = data.get("intent") or {"source": PRODUCER, "id": f"example-{number}"}
    operation = data.get("operation") or operation_id(intent["source"], intent["id"])
    extensions = {
        "correlationid": str(operation),
        "causationid": intent["id"],
        "traceparent": TRACEPARENT,
        "authtype": "service_account",
        "authid": service,
        "onbehalfof": "payments-ci",
        "relay": service,
        "sequence": f"{number:020d}",
    }
    id_ = event_id(service, source, message.TYPE, number)
    return _event(message, id_=id_, source=source, data=data, extensions=extensions)


def _event(
    message: type[Message], *, id_: str, source: str, data: JsonObject, extensions: JsonObject
) -> JsonObject:
    key = topics.key_of(message.TOPIC).of(data)
    # Without a subject, the gateway uses the operation as the key.
    about = {"partitionkey": extensions["correlationid"]}
    if key is not None:
        about = {"subject": key, "partitionkey": key}
    return {
        "specversion": "1.0",
        "id": id_,
        "source": source,
        "type": message.TYPE,
        "time": TIME,
        "datacontenttype": "application/json",
        **about,
        **extensions,
        "data": data,
    }
