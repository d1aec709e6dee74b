"""Models of the HTTP API: the gateway answers with them and the SDK reads them.

Unknown fields are ignored, so that a client can read the answers of a later release.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from busbar.messages.base import JsonObject, Part
from busbar.messages.principals import PrincipalView
from busbar.messages.views import OperationView, ResourceView
from busbar.messages.webhooks import DeliveryView, SubscriptionView

NDJSON = "application/x-ndjson"
PLAIN_TEXT = "text/plain"
"""The media type of answers that come line by line: each line is a JSON object with ``progress``,
``item`` (with ``cursor``, where to continue after it, or null), ``problem`` or ``end``."""


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) else value


Cursor = Annotated[str, BeforeValidator(_as_text)]
"""An opaque position in a list; give it as ``after`` to continue from there."""

_NEXT = "Give it as `after` for the next page; null at the end."


class Accepted(Part):
    """An accepted event."""

    operation: str = Field(description="UUIDv5 of the event's source and id.")
    resource: str | None = Field(description="The resource that the event's data name, if any.")
    status: Literal["received"] = Field(
        default="received", description="Always `received`; follow the operation for its progress."
    )


class OperationPage(Part):
    """A page of operations, newest first."""

    items: list[OperationView]
    next: str | None = Field(description=_NEXT)


class ResourcePage(Part):
    """A page of resources, ordered by id."""

    items: list[ResourceView]
    next: str | None = Field(description=_NEXT)


class SubscriptionPage(Part):
    """A page of subscriptions, ordered by team and name."""

    items: list[SubscriptionView]
    next: str | None = Field(description=_NEXT)


class PrincipalPage(Part):
    """A page of principals, ordered by name."""

    items: list[PrincipalView]
    next: str | None = Field(description=_NEXT)


class DeliveryPage(Part):
    """A page of deliveries, newest first."""

    items: list[DeliveryView]
    next: str | None = Field(description=_NEXT)


class FactItem(Part):
    """A fact as it was published."""

    cursor: Cursor = Field(description="Position of the fact in the gateway's list of facts.")
    id: str
    source: str
    type: str
    time: str
    topic: str
    resource: str | None
    operation: str | None
    data: Any


class FactPage(Part):
    """A page of facts, oldest first."""

    items: list[FactItem]
    next: Cursor = Field(description="Give it as `after` for the facts that follow, now or later.")


class PromiseStep(Part):
    """A step of a plan, and what its adapter declares about data."""

    name: str
    adapter: str
    when: str | None = None
    inputs: JsonObject = Field(default_factory=dict)
    holds_data: bool = Field(default=True, description="Removing what the step made loses data.")
    losses: JsonObject = Field(
        default_factory=dict,
        description="The inputs whose change deletes data, each with `lowered` or `switched on`.",
    )


class PromiseExample(Part):
    """A spec that the version accepts."""

    title: str
    spec: JsonObject


class PromiseVersionView(Part):
    """A version of a promise."""

    version: str
    digest: str
    spec: JsonObject = Field(description="JSON Schema 2020-12 of what can be requested.")
    steps: tuple[PromiseStep, ...] = ()
    outputs: tuple[str, ...] = ()
    examples: tuple[PromiseExample, ...] = ()


class PromiseView(Part):
    """A promise that policy has loaded, or the problem of one that it could not load."""

    id: str
    name: str
    title: str = ""
    description: str = ""
    owner: str = ""
    problem: str = Field(default="", description="Why it is not offered; empty if it is.")
    versions: tuple[PromiseVersionView, ...] = Field(default=(), description="Oldest first.")


class PromiseList(Part):
    """All promises by name, broken ones included."""

    items: tuple[PromiseView, ...]


class Redriven(Part):
    """The outcome of one redrive of a dead letter."""

    outcome: str
    detail: str
    time: str


class DeadLetter(Part):
    """A record that a service could not handle, without its content."""

    dead_letter: str
    service: str
    topic: str
    partition: int
    offset: int
    reason: str = Field(description="A code from a bounded set.")
    detail: str
    intent: JsonObject | None = Field(
        description="The identity that the record claims, if it could be read."
    )
    refused: bool = Field(
        default=False,
        description="True if it is an intent that could not be read; its identity is a claim.",
    )
    operation: str | None = Field(
        default=None, description="The operation that waits for the record, or that was refused."
    )
    size: int = Field(description="Size of the record's value, in bytes.")
    time: str
    ordering_key: str | None = Field(default=None, description="The ordering key that it parks.")
    behind: str | None = Field(default=None, description="The dead letter that it waits for.")
    recovered: str | None = Field(
        default=None, description="When it was handled after all; null if it was not."
    )
    redriven: tuple[Redriven, ...] = Field(description="Redrives, oldest first.")


class DeadLetterPage(Part):
    """A page of dead letters, oldest first."""

    items: list[DeadLetter]
    next: str | None = Field(description=_NEXT)


class RecordContent(Part):
    """The content of a record. Bytes that are not UTF-8 are base64 after the prefix `base64:`."""

    key: str | None
    headers: tuple[tuple[str, str | None], ...]
    value: str | None


class DecryptedDeadLetter(DeadLetter):
    """A dead letter and the decrypted record."""

    record: RecordContent = Field(repr=False)


class Problem(Part):
    """An RFC 9457 problem: what is wrong and what to do about it."""

    type: str = Field(description="`urn:busbar:problem:` and the code.")
    title: str
    status: int
    detail: str = Field(description="A sentence about this request.")
    code: str = Field(description="A stable code, for programs.")
    fix: str = Field(description="What to do next, for people.")


class AuditRecord(Part):
    """A record of the audit log, with its topic, partition and offset."""

    cursor: Cursor
    topic: str
    partition: int
    offset: int
    key: str | None = None
    type: str | None = None
    id: str | None = None
    source: str | None = None
    time: str | None = None
    recorded_time: str | None = None
    resource: str | None = None
    operation: str | None = None
    relay: str | None = None
    sequence: int | None = None
    value_digest: str = ""
    readable: bool = True
    data: Any = None


class AuditPage(Part):
    """A page of audit records, oldest first."""

    items: tuple[AuditRecord, ...]
    cursor: Cursor | None = Field(
        description="Where to continue; null only before the first record of an empty log."
    )
    total: int | None = Field(
        default=None, description="How many records there are in all; only on the first page."
    )


class AuditRecordPage(Part):
    """A page of audit records, oldest first."""

    items: list[AuditRecord]
    next: Cursor | None = Field(description=_NEXT)
    total: int | None = Field(
        default=None, description="How many records there are in all; only on the first page."
    )


class Progress(Part):
    """The progress of a long answer."""

    what: str = Field(description="What is counted, as `records read`.")
    done: int
    total: int | None = Field(description="How many there are in all; null if that is unknown.")


class RelayView(Part):
    """The part of what one service published that is in the audit log."""

    relay: str
    head: int
    stored: int
    missing: tuple[tuple[int, int], ...] = Field(
        default=(), description="Missing ranges of sequence numbers."
    )
    digest_matches: bool = False
    heads: int = Field(default=0, description="The heads of its relay, which it signs.")
    heads_verified: int = Field(default=0, description="Those that its own key has signed.")


class Completeness(Part):
    """The result of comparing the audit log with everything that the services published."""

    complete: bool
    relays: tuple[RelayView, ...] = ()
    problems: tuple[JsonObject, ...] = Field(
        default=(), description="What is missing or differs; at most 1,000 ranges of records."
    )
    more: int = Field(default=0, description="How many problems there are besides those listed.")
    compared: int = Field(default=0, description="How many records of Kafka were compared.")


class Sentence(Part):
    """One step of an explanation, and the record that proves it."""

    time: str = ""
    text: str
    topic: str = ""
    partition: int | None = None
    offset: int | None = None
    operation: str | None = None


class _Line(Part):
    progress: Progress | None = Field(default=None, description="How far the answer is.")
    problem: Problem | None = Field(
        default=None, description="Why the answer is not whole, in place of its end."
    )


class ExplanationLine(_Line):
    """A line of an explanation. A whole answer ends with a line that has `end`."""

    item: Sentence | None = None
    cursor: Cursor | None = Field(default=None, description="Where to continue after the item.")
    end: JsonObject | None = None


class StateLine(_Line):
    """A line of the resources at a time. A whole answer ends with a line that has `end`."""

    item: ResourceView | None = None
    cursor: Cursor | None = Field(default=None, description="Where to continue after the item.")
    end: JsonObject | None = None


class CompletenessLine(_Line):
    """A line of the comparison; the last one has the result as its `end`."""

    end: Completeness | None = None


AUDIT_ANSWERS = (AuditRecordPage, ExplanationLine, StateLine, CompletenessLine)
"""What audit answers with, which the gateway passes on unread."""
