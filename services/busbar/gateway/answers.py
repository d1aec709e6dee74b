"""What the gateway answers: the shapes that clients may count on, and the contract shows."""

from typing import Any

from pydantic import Field

from busbar.messages.base import JsonObject, Part
from busbar.messages.views import OperationView, ResourceView


class Accepted(Part):
    """An event that was let in."""

    operation: str = Field(description="UUIDv5 over the event's source and id.")
    resource: str | None = Field(description="What it is about, if its data name a resource.")
    status: str = Field(description="Always `received`; follow the operation for more.")


class OperationPage(Part):
    """Some operations, newest first."""

    items: list[OperationView]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")


class ResourcePage(Part):
    """Some resources, by name."""

    items: list[ResourceView]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")


class FactItem(Part):
    """One fact, as it was published."""

    cursor: int = Field(description="Its place among the facts that this gateway heard of.")
    id: str
    source: str
    type: str
    time: str
    topic: str
    resource: str | None
    operation: str | None
    data: Any


class FactPage(Part):
    """Some facts, oldest first."""

    items: list[FactItem]
    next: int = Field(description="Give it as `after` for what follows, now or later.")


class Redriven(Part):
    """How it went when somebody had a dead letter handled again."""

    outcome: str
    detail: str
    time: str


class DeadLetter(Part):
    """A record that a service could not handle, without what it holds."""

    dead_letter: str
    service: str
    topic: str
    partition: int
    offset: int
    reason: str = Field(description="A bounded code.")
    detail: str
    intent: JsonObject | None = Field(description="The event's identity, where it could be read.")
    size: int = Field(description="Bytes of the record's value.")
    time: str
    ordering_key: str | None = Field(
        default=None, description="What waits for it, if anything does."
    )
    behind: str | None = Field(default=None, description="The dead letter that it waits for.")
    recovered: str | None = Field(
        default=None, description="When it was handled after all; null if it was not."
    )
    redriven: list[Redriven] = Field(description="Oldest first.")


class DeadLetterPage(Part):
    """Some dead letters, oldest first."""

    items: list[DeadLetter]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")


class OpenedRecord(Part):
    """The record itself. What is no UTF-8 is base64 behind `base64:`."""

    key: str | None
    headers: list[tuple[str, str | None]]
    value: str | None


class DecryptedDeadLetter(DeadLetter):
    """A dead letter with its record."""

    record: OpenedRecord


class Problem(Part):
    """RFC 9457: what is wrong, and what to do about it."""

    type: str = Field(description="`urn:busbar:problem:` and the code.")
    title: str
    status: int
    detail: str = Field(description="A sentence about this very request.")
    code: str = Field(description="Stable, for programs.")
    fix: str = Field(description="What to do, for people.")
