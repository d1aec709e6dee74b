"""One record of audit's copy."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One record of the bus, as audit keeps it. Times are RFC 3339 text in UTC.

    ``data`` is None for a record that is no CloudEvent; its bytes are kept sealed.
    """

    cursor: int
    topic: str
    partition: int
    offset: int
    key: str | None
    type: str
    id: str
    source: str
    time: str | None
    recorded_time: str
    resource: str | None
    operation: str | None
    relay: str | None
    sequence: int | None
    value_digest: str
    readable: bool
    data: Any = field(repr=False)
