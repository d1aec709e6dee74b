"""Event rows as the store writes them, made beforehand: what the raw sides insert."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench import work
from busbar.kernel.ids import event_id
from busbar.messages.base import Message
from busbar.runtime.store.sql.statements import EVENT_COLUMNS

PER_STREAM = 5
STREAMS = 100
PER_TRANSACTION = PER_STREAM * STREAMS
"""Events of one transaction: a full batch of the engine's that leads to one event a record."""

POSTGRES_INSERT = (
    f"INSERT INTO events ({', '.join(EVENT_COLUMNS)}) SELECT * FROM unnest("  # noqa: S608 - our own names
    + ", ".join(
        f"${number}::{'int' if name == 'version' else 'text'}[]"
        for number, name in enumerate(EVENT_COLUMNS, start=1)
    )
    + ")"
)
SQLITE_INSERT = (
    f"INSERT INTO events ({', '.join(EVENT_COLUMNS)})"  # noqa: S608 - our own names
    f" VALUES ({', '.join('?' * len(EVENT_COLUMNS))})"
)
NOW = "2026-01-01T12:00:00.000000Z"

Raw = tuple[str | int | None, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Five facts for one stream, which has so many events before them."""

    stream: str
    before: int
    operation: str
    resource: str
    messages: Sequence[Message]


def transactions(count: int, label: str) -> Iterator[list[Part]]:
    """Return the appends of ``count`` transactions; half of their streams are new."""
    known: list[Part] = []
    for number in range(count):
        old = known[: STREAMS // 2]
        parts = [_part(part.resource, part.before + PER_STREAM, label, number) for part in old]
        fresh = (
            work.resource_of(number * STREAMS + index, label)
            for index in range(STREAMS - len(parts))
        )
        parts += [_part(resource, 0, label, number) for resource in fresh]
        known = parts[len(old) :]
        yield parts


def _part(resource: str, before: int, label: str, number: int) -> Part:
    operation = work.operation_of(before, f"{label}-{number}-{resource}")
    messages = work.facts(resource, operation)
    return Part(f"resource/{resource}", before, operation, resource, messages)


def raw(parts: Sequence[Part], *, service: str) -> list[Raw]:
    """The rows that the store makes of ``parts``."""
    about = {"source": f"/busbar/{service}"}
    return [
        (
            part.stream,
            part.before + index + 1,
            event_id(service, work.SOURCE, part.operation, index),
            message.TYPE,
            NOW,
            NOW,
            part.operation,
            part.operation,
            message.TOPIC,
            part.resource,
            message.model_dump_json(),
            json.dumps({**about, "subject": part.resource}),
        )
        for part in parts
        for index, message in enumerate(part.messages)
    ]


def columns(rows: Sequence[Raw]) -> list[list[str | int | None]]:
    """``rows`` column by column, as ``unnest`` takes them."""
    return [list(column) for column in zip(*rows, strict=True)]
