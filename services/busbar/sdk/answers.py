"""What the gateway answers, typed. Read tolerantly: members of a later release are ignored."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from busbar.messages.base import JsonObject, Part

Cursor = Annotated[str, BeforeValidator(str)]
"""Where to continue; opaque."""


class Accepted(Part):
    """An event was accepted: its operation can be followed."""

    operation: str
    resource: str | None = None
    status: str = "received"
    replayed: bool = Field(default=False, description="The same event had been accepted before.")


class FactItem(Part):
    """One fact as it was published."""

    cursor: Cursor
    id: str
    type: str
    time: str = ""
    topic: str = ""
    resource: str | None = None
    operation: str | None = None
    data: Any = None


class DeadLetter(Part):
    """A record that a service could not handle; ``record`` is set when it is requested by id."""

    dead_letter: str
    service: str
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str = ""
    intent: JsonObject | None = None
    size: int = 0
    time: str = ""
    ordering_key: str | None = Field(
        default=None, description="What waits for it, if anything does."
    )
    behind: str | None = Field(default=None, description="The dead letter that it waits for.")
    recovered: str | None = Field(default=None, description="When it was handled after all.")
    redriven: tuple[Any, ...] = Field(default=(), description="Outcomes, oldest first.")
    record: JsonObject | None = Field(default=None, repr=False)


class AuditRecord(Part):
    """One record of the audit log: what was on which topic at which offset."""

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
    readable: bool = True
    data: Any = None


class AuditPage(Part):
    """Some records, and where to continue (None before the first record ever)."""

    items: tuple[AuditRecord, ...]
    cursor: Cursor | None


class RelayView(Part):
    """How much of what one service published the audit log holds."""

    relay: str
    head: int
    stored: int
    missing: tuple[tuple[int, int], ...] = Field(default=(), description="Ranges of sequences.")
    digest_matches: bool = False


class Completeness(Part):
    """Whether the audit log holds everything that the services say they published."""

    complete: bool
    relays: tuple[RelayView, ...] = ()
    problems: tuple[JsonObject, ...] = ()


class Sentence(Part):
    """One step of an explanation, and the record that proves it."""

    time: str = ""
    text: str
    topic: str = ""
    partition: int | None = None
    offset: int | None = None
