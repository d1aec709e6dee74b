"""What OpenAPI has to be told about the routes: events in two modes, and problems.

CloudEvents over HTTP: section 3 of
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from busbar.gateway.answers import Problem
from busbar.messages.catalogue import INTENTS
from busbar.messages.codec.kafka import MAX_BYTES
from busbar.messages.resource import ApplyResource
from busbar.runtime.http.problems import MEDIA_TYPE

_STRUCTURED: Final = "application/cloudevents+json"
_REF: Final = "#/components/schemas/{model}"
_EXAMPLE: Final = {
    "specversion": "1.0",
    "id": "order-stream-1",
    "source": "urn:team:payments",
    "type": ApplyResource.TYPE,
    "data": ApplyResource.EXAMPLES[0],
}

_ATTRIBUTES: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "specversion": ("The version of CloudEvents.", {"const": "1.0"}),
    "id": (
        "Names the event for ever, together with its source; the same pair is the same intent.",
        {"minLength": 1, "maxLength": 1024},
    ),
    "source": (
        "Who asks, as a URI without white space; /busbar/ is where the platform's own begin.",
        {"format": "uri-reference", "minLength": 1, "maxLength": 1024},
    ),
    "type": ("What is asked for.", {"enum": sorted(intent.TYPE for intent in INTENTS)}),
    "subject": (
        "The resource, if it is given at all: team/environment/promise/name.",
        {"minLength": 1, "maxLength": 4096},
    ),
    "time": ("When it was asked for; now, if left out.", {"format": "date-time"}),
    "expirytime": (
        "The moment from which on it may no longer be acted on.",
        {"format": "date-time"},
    ),
    "correlationid": (
        "Goes with everything that follows; the operation, if left out.",
        {"maxLength": 4096},
    ),
}
_REQUIRED: Final = ("specversion", "id", "source", "type")


class DocumentedApp(FastAPI):
    """An application whose document knows about problems and events."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        if not self.openapi_schema:
            document = super().openapi()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            document["components"]["schemas"] = dict(sorted({**schemas, **_schemas()}.items()))
            self.openapi_schema = document
        return self.openapi_schema


def problems(**by_status: str) -> dict[int | str, dict[str, Any]]:
    """The errors of an operation, ``_404="there is none"``; any other is a problem as well."""
    known = {
        "401": "The bearer token is missing or wrong.",
        **{status.removeprefix("_"): text for status, text in by_status.items()},
        "default": "Something else went wrong.",
    }
    content = {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}}
    return {
        status: {"description": text, "content": content} for status, text in sorted(known.items())
    }


def event_request() -> dict[str, Any]:
    """The request of ``POST /v1/events``: an event in either content mode."""
    structured = {
        "schema": {"$ref": _REF.format(model="CloudEvent")},
        "examples": {"structured": {"summary": "A structured event", "value": _EXAMPLE}},
    }
    binary = {
        "schema": {"$ref": _REF.format(model="IntentData")},
        "examples": {
            "binary": {"summary": "The data of a binary event", "value": _EXAMPLE["data"]}
        },
    }
    return {
        "parameters": [_header(name) for name in _ATTRIBUTES] + [_traceparent()],
        "requestBody": {
            "description": (
                f"One CloudEvent 1.0 of at most {MAX_BYTES} bytes: structured, or binary with its"
                " attributes in `ce-` headers. Batches are refused."
            ),
            "required": True,
            "content": {_STRUCTURED: structured, "application/json": binary},
        },
    }


def accepted_headers() -> dict[str, Any]:
    """The headers of an answer to an event that was let in."""
    place = {"schema": {"type": "string"}}
    return {
        "Location": {"description": "Where the operation is.", **place},
        "Operation-Location": {"description": "The same, as Azure's clients expect it.", **place},
        "Idempotent-Replayed": {
            "description": "`true` if the same event was let in before; nothing was changed.",
            "schema": {"type": "string", "enum": ["true"]},
        },
    }


def _header(name: str) -> dict[str, Any]:
    text, schema = _ATTRIBUTES[name]
    needed = " Binary mode needs it." if name in _REQUIRED else ""
    return {
        "name": f"ce-{name}",
        "in": "header",
        "required": False,
        "description": f"Binary mode only: {text[0].lower()}{text[1:]}{needed}",
        "schema": {"type": "string", **schema},
    }


def _traceparent() -> dict[str, Any]:
    return {
        "name": "traceparent",
        "in": "header",
        "required": False,
        "description": "W3C trace context; handed on with everything that follows.",
        "schema": {"type": "string"},
    }


def _schemas() -> dict[str, Any]:
    models: tuple[type[BaseModel], ...] = (*INTENTS, Problem)
    kinds, found = models_json_schema(
        [(model, "validation") for model in models], ref_template=_REF
    )
    intents = [kinds[intent, "validation"] for intent in INTENTS]
    properties: dict[str, Any] = {
        name: {"type": "string", "description": text, **schema}
        for name, (text, schema) in _ATTRIBUTES.items()
    }
    properties["datacontenttype"] = {
        "type": "string",
        "description": "JSON, or left out: `application/json` or a type that ends in `+json`.",
    }
    properties["data"] = {"$ref": _REF.format(model="IntentData")}
    event = {
        "title": "CloudEvent",
        "description": "A CloudEvent 1.0 in JSON. Other attributes are extensions.",
        "type": "object",
        "required": list(_REQUIRED),
        "properties": properties,
        "additionalProperties": {
            "description": "An extension; its name is 1 to 20 of a-z and 0-9.",
            "type": ["string", "boolean", "integer", "null"],
        },
    }
    data = {
        "title": "IntentData",
        "description": "What is asked for; which of these it is, the event's type says.",
        "anyOf": intents,
    }
    return {**found["$defs"], "CloudEvent": event, "IntentData": data}
