"""The events that a producer publishes, and what has to become of each.

A program of each SDK reads the plan as JSON from standard input and publishes every event of it
with the SDK's own functions, over the transport and in the mode that the event names.
"""

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from busbar.kernel.ids import operation_id
from busbar.messages import topics
from busbar.messages.resource import ApplyResource
from busbar.messages.views import OperationView

EXTENSIONS: Final[dict[str, str | int]] = {"knativekafkapartition": "3", "sampledrate": -7}
"""Attributes that SDKs write differently: a long name, and an integer."""

UNICODE: Final[dict[str, str | int]] = {"greeting": "grüß dich"}
"""An attribute of every event but those in binary mode over HTTP: the SDKs for Go and JavaScript
leave it to their callers to percent-encode headers (section 3.1.3.2 of the binding)."""


@dataclass(frozen=True, slots=True)
class Planned:
    """An event: its data are given to the SDK as an ``object`` or as ``bytes`` of JSON."""

    id: str
    transport: Literal["kafka", "http"]
    mode: Literal["binary", "structured"]
    encoding: Literal["object", "bytes", "none"]
    content_type: str
    key: str
    extensions: dict[str, str | int]
    data: dict[str, Any] | None

    @property
    def label(self) -> str:
        """The way that it is published."""
        return f"{self.transport}, {self.mode}, {self.encoding}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The events of one producer."""

    source: str
    events: Sequence[Planned]

    def as_input(self, *, kafka: str, gateway: str, token: str) -> dict[str, Any]:
        """Return what the program reads."""
        return {
            "kafka": kafka,
            "topic": topics.INTENTS_RESOURCE,
            "gateway": f"{gateway}/v1/events",
            "token": token,
            "source": self.source,
            "type": ApplyResource.TYPE,
            "events": [asdict(one) for one in self.events],
        }

    def operation(self, one: Planned) -> str:
        """Return the id of the operation that ``one`` becomes."""
        return str(operation_id(self.source, one.id))


_ENCODINGS: Final = {
    "object": "application/json",
    "bytes": "application/vnd.busbar.intent+json; charset=utf-8",
    "none": "",
}


def plan_for(language: str) -> Plan:
    """Return the events of the producer in ``language``: each transport, mode and encoding."""
    run = secrets.token_hex(4)
    return Plan(
        source=f"urn:interop:{language}",
        events=[
            _planned(f"{language}-{run}", transport, mode, encoding, content_type)
            for transport in ("kafka", "http")
            for mode in ("binary", "structured")
            for encoding, content_type in _ENCODINGS.items()
        ],
    )


def _planned(run: str, transport: Any, mode: Any, encoding: Any, content_type: str) -> Planned:
    resource = {
        "team": "interop",
        "environment": "dev",
        "promise": "event-stream",
        "name": f"{run}-{transport}-{mode}-{encoding}",
    }
    return Planned(
        id=resource["name"],
        transport=transport,
        mode=mode,
        encoding=encoding,
        content_type=content_type,
        key="/".join(resource.values()),
        extensions=EXTENSIONS | ({} if (transport, mode) == ("http", "binary") else UNICODE),
        data=None if encoding == "none" else {**resource, "spec": {"partitions": 1}},
    )


def problem_with(plan: Plan, one: Planned, view: OperationView) -> str | None:
    """Return why ``view`` is not the operation that ``one`` has to become, or None if it is."""
    expected: dict[str, Any] = {
        "status": "succeeded" if one.data is not None else "denied",
        "reason": "" if one.data is not None else "invalid_intent",
        "resource": one.key if one.data is not None else None,
        "intent": {"source": plan.source, "id": one.id, "type": ApplyResource.TYPE},
    }
    wrong = [
        f"{name} is {getattr(view, name)!r}, not {value!r}"
        for name, value in expected.items()
        if getattr(view, name) != value
    ]
    return f"{'; '.join(wrong)} ({view.detail or view.violations})" if wrong else None


def problem_with_extensions(one: Planned, found: dict[str, str]) -> str | None:
    """Return which extension of ``one`` did not arrive as it was, or None."""
    for name, value in one.extensions.items():
        if found.get(name) != str(value):
            return f"the attribute {name} is {found.get(name)!r}, not {str(value)!r}"
    return None
