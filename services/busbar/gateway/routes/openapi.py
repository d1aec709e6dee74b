"""Parts of the OpenAPI document that FastAPI cannot derive: events in two modes, and problems.

CloudEvents over HTTP: section 3 of
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from busbar.gateway.routes.problems import REF
from busbar.messages.base import FORMATS, Status
from busbar.messages.catalogue import INTENTS
from busbar.messages.codec.kafka import MAX_BYTES
from busbar.messages.http import AUDIT_ANSWERS, Problem
from busbar.messages.resource import ApplyResource

_STRUCTURED: Final = "application/cloudevents+json"
_EXAMPLE: Final = {
    "specversion": "1.0",
    "id": "order-stream-1",
    "source": "urn:team:payments",
    "type": ApplyResource.TYPE,
    "data": ApplyResource.EXAMPLES[0],
}

_ATTRIBUTES: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "specversion": ("The version of CloudEvents.", {"enum": ["1.0"]}),
    "id": (
        "Identifies the event together with its source; the same pair is the same intent.",
        {"minLength": 1, "maxLength": 1024},
    ),
    "source": (
        "The producer, as a URI without white space; /busbar/ is reserved for the platform.",
        {"format": "uri-reference", "minLength": 1, "maxLength": 1024},
    ),
    "type": ("The type of intent.", {"enum": sorted(intent.TYPE for intent in INTENTS)}),
    "subject": (
        "The resource, if given: team/environment/promise/name.",
        {"minLength": 1, "maxLength": 4096},
    ),
    "time": ("When the intent was made; the current time if omitted.", {"format": "date-time"}),
    "expirytime": (
        "The time after which the intent must not be acted on.",
        {"format": "date-time"},
    ),
    "correlationid": (
        "Passed on to every event that follows; the operation if omitted.",
        {"maxLength": 4096},
    ),
}
_REQUIRED: Final = ("specversion", "id", "source", "type")

STABILITY: Final[Mapping[Status, str]] = {
    "draft": "A draft: it changes without notice until the first release.",
    "published": "Published: a release changes it only in ways that break no client.",
}
"""What a status means for a client, in the description of the API."""


class DocumentedApp(FastAPI):
    """An application whose OpenAPI document includes the schemas of problems and events."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request (ASGI 3): HEAD as GET, whose body the server leaves out."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await super().__call__(scope, receive, send)
            return
        asked = {**scope, "method": "GET"}
        await super().__call__(asked, receive, send)
        if "route" in asked:
            scope["route"] = asked["route"]  # telemetry looks for it there

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        if not self.openapi_schema:
            document = super().openapi()
            document["info"]["x-busbar-status"] = FORMATS
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            document["components"]["schemas"] = dict(sorted({**schemas, **_schemas()}.items()))
            self.openapi_schema = document
        return self.openapi_schema


def event_request() -> dict[str, Any]:
    """Describe the request of ``POST /v1/events``: an event in either content mode."""
    structured = {
        "schema": {"$ref": REF.format(model="CloudEvent")},
        "examples": {"structured": {"summary": "A structured event", "value": _EXAMPLE}},
    }
    binary = {
        "schema": {"$ref": REF.format(model="IntentData")},
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
    """Describe the headers of the response to an accepted event."""
    text = {"schema": {"type": "string"}}
    return {
        "Location": {"description": "The path of the operation.", **text},
        "Operation-Location": {
            "description": "The same path, as Azure's clients expect it.",
            **text,
        },
        "Idempotent-Replayed": {
            "description": "`true` if the same event was accepted earlier; nothing was changed.",
            "schema": {"type": "string", "enum": ["true"]},
        },
    }


def _header(name: str) -> dict[str, Any]:
    text, schema = _ATTRIBUTES[name]
    # A header is text: generators of clients refuse one that is a time.
    limits = {key: value for key, value in schema.items() if key != "format"}
    needed = " Required in binary mode." if name in _REQUIRED else ""
    return {
        "name": f"ce-{name}",
        "in": "header",
        "required": False,
        "description": f"Binary mode only: {text[0].lower()}{text[1:]}{needed}",
        "schema": {"type": "string", **limits},
    }


def _traceparent() -> dict[str, Any]:
    return {
        "name": "traceparent",
        "in": "header",
        "required": False,
        "description": "W3C trace context; passed on to every event that follows.",
        "schema": {"type": "string"},
    }


def _schemas() -> dict[str, Any]:
    models: tuple[type[BaseModel], ...] = (*INTENTS, Problem, *AUDIT_ANSWERS)
    kinds, found = models_json_schema([(model, "validation") for model in models], ref_template=REF)
    intents = [kinds[intent, "validation"] for intent in INTENTS]
    properties: dict[str, Any] = {
        name: {"type": "string", "description": text, **schema}
        for name, (text, schema) in _ATTRIBUTES.items()
    }
    properties["datacontenttype"] = {
        "type": "string",
        "description": "`application/json`, or another media type whose subtype is `json` or ends"
        " in `+json`; JSON if omitted.",
    }
    properties["data_base64"] = {
        "type": "string",
        "contentEncoding": "base64",
        "description": "The JSON data as Base64, which some SDKs send instead of `data`.",
    }
    properties["data"] = {"$ref": REF.format(model="IntentData")}
    event = {
        "title": "CloudEvent",
        "description": "A CloudEvent 1.0 in JSON. Other attributes are extensions.",
        "type": "object",
        "required": list(_REQUIRED),
        "properties": properties,
        "additionalProperties": {
            "description": "An extension; its name has 1 to 100 of the characters a-z and 0-9.",
            # Not a list of types: generators of clients read only one.
            "anyOf": [{"type": kind} for kind in ("string", "boolean", "integer")],
        },
    }
    data = {
        "title": "IntentData",
        "description": "The data of the intent; the event's type says which of these it is.",
        "anyOf": intents,
    }
    return {**found["$defs"], "CloudEvent": event, "IntentData": data}
