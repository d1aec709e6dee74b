"""Long histories, made quickly: what a platform would have recorded after many operations.

A history is a number of resources with a number of generations each. Every generation is an
operation of one intent and five facts; the relays' heads come at the end. It can be written into
the stores of audit and of the gateway, and published on a bus, where it has the same offsets.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from zlib import crc32

import orjson

from busbar.audit.handlers.copy import RECORDS, entry_of
from busbar.gateway.handlers import OPERATION, RESOURCE
from busbar.kernel.clock import format_time
from busbar.kernel.ids import operation_text
from busbar.messages import topics
from busbar.messages.base import Fact, Message
from busbar.messages.catalogue import BY_TYPE
from busbar.messages.codec import kafka as codec
from busbar.messages.delivery import HeadPublished
from busbar.messages.envelope import Envelope
from busbar.messages.policy import IntentAllowed
from busbar.messages.resource import (
    ApplyResource,
    ResourceProvisioned,
    ResourceQueued,
    StepStarted,
    StepSucceeded,
)
from busbar.messages.views import OperationView, ResourceView, evolve_operation, evolve_resource
from busbar.runtime.core.bus import Record
from busbar.runtime.outbox.events import GENESIS, chain
from busbar.runtime.store import Cause, Store, Transaction
from busbar.runtime.store.model.json import dumps
from busbar.runtime.store.sql.statements import EVENT_COLUMNS
from support.runtime import cipher

SOURCE = "urn:example:history"
BEGIN = datetime(2026, 1, 1, 12, tzinfo=UTC)
STEP = timedelta(milliseconds=1)
FACTS: tuple[tuple[str, type[Message]], ...] = (
    ("policy", IntentAllowed),
    ("provisioner", ResourceQueued),
    ("provisioner", StepStarted),
    ("provisioner", StepSucceeded),
    ("provisioner", ResourceProvisioned),
)
"""The facts of one operation, in their order, with the services that publish them."""

ROWS = 2000
Item = TypeVar("Item")
Row = tuple[Any, ...]
"""The values of an event in the order of its columns."""


def resource_of(number: int) -> str:
    """The id of the ``number``-th resource."""
    return f"team-{number % 7}/dev/event-stream/r{number:07d}"


def operation_of(number: int, generation: int) -> str:
    """The operation that made the ``generation``-th generation (from 1) of that resource."""
    return operation_text(SOURCE, _intent_id(number, generation))


def _intent_id(number: int, generation: int) -> str:
    return f"{number}-{generation}"


@dataclass(slots=True)
class _Relays:
    """The sequences and digests of the relays, and the ends of the partitions."""

    sequences: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    links: dict[str, str] = field(default_factory=lambda: defaultdict(lambda: GENESIS))
    ends: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    time: datetime = BEGIN


class Copying:
    """Makes the rows of the copy, one after the other."""

    def __init__(self) -> None:
        self.ends: dict[tuple[str, int], int] = {}
        """The offset after the last one of each partition."""
        self._versions: dict[str, int] = defaultdict(int)
        self._cipher = cipher()

    def row(self, record: Record, envelope: Envelope) -> Row:
        """The row of ``record``."""
        entry = entry_of(record, envelope, self._cipher)
        stream = f"{RECORDS}{entry.place}"
        self._versions[stream] += 1
        self.ends[record.topic, record.partition] = record.offset + 1
        time = format_time(envelope.time or BEGIN)
        metadata = {name: value for name, value in entry.metadata.items() if value is not None}
        return (
            stream,
            self._versions[stream],
            entry.id,
            entry.type,
            time,
            time,
            entry.operation or "",
            str(record.offset),
            None,
            entry.owner,
            entry.data,
            dumps(metadata),
        )


@dataclass(frozen=True, slots=True)
class History:
    """``resources`` of ``generations`` each; generation by generation, resource by resource."""

    resources: int
    generations: int

    @property
    def operations(self) -> int:
        """The number of operations."""
        return self.resources * self.generations

    @property
    def facts(self) -> int:
        """The number of facts besides the heads of relays."""
        return self.operations * len(FACTS)

    @property
    def size(self) -> int:
        """The number of records: the intents, their facts and the heads of three relays."""
        return self.operations * (len(FACTS) + 1) + 3

    def records(self) -> Iterator[tuple[Record, Envelope]]:
        """Every record as Kafka would have it, with its event."""
        relays = _Relays()
        for generation in range(1, self.generations + 1):
            for number in range(self.resources):
                yield from _operation(relays, number, generation)
        for relay in sorted(relays.sequences):
            sequence = relays.sequences[relay]
            data = {"relay": relay, "sequence": sequence, "count": sequence}
            data["digest"] = relays.links[relay]
            yield _record(
                relays,
                HeadPublished,
                relay,
                Envelope(
                    id=f"head-{relay}",
                    source=f"/busbar/{relay}",
                    type=HeadPublished.TYPE,
                    time=relays.time,
                    data=HeadPublished.model_validate(data).model_dump(mode="json"),
                    key=relay,
                ),
            )

    def rows(self) -> Iterator[Row]:
        """The rows of the copy that audit makes of the records."""
        copying = Copying()
        return (copying.row(record, envelope) for record, envelope in self.records())

    def documents(self) -> Iterator[tuple[str, str, str, str, str]]:
        """The rows of the views that the gateway folds from the facts."""
        resources: dict[str, ResourceView | None] = {}
        operation: OperationView | None = None
        for record, envelope in self.records():
            model = BY_TYPE[envelope.type]
            if not issubclass(model, Fact) or model is HeadPublished:
                continue
            fact, time = model.model_validate(envelope.data), format_time(envelope.time or BEGIN)
            if isinstance(fact, IntentAllowed):
                operation = None
            operation = evolve_operation(operation, fact, time=time)
            resource = fact.resource_id or ""
            if record.topic == topics.FACTS_RESOURCE:
                resources[resource] = evolve_resource(resources.get(resource), fact, time=time)
            if isinstance(fact, ResourceProvisioned) and operation is not None:
                rank = f"{time}/{operation.id}"
                value = {"view": operation.model_dump(mode="json"), "rank": rank}
                yield OPERATION, operation.id, resource, rank, dumps(value)
        for name, view in resources.items():
            assert view is not None
            yield RESOURCE, name, "", name, dumps(view.model_dump(mode="json"))


def _operation(relays: _Relays, number: int, generation: int) -> Iterator[tuple[Record, Envelope]]:
    resource, operation = resource_of(number), operation_of(number, generation)
    team, environment, promise, name = resource.split("/")
    spec = {"partitions": 1 + generation % 9}
    intent = {"source": SOURCE, "id": _intent_id(number, generation), "type": ApplyResource.TYPE}
    named = {"team": team, "environment": environment, "promise": promise, "name": name}
    data = {**named, "version": None, "expected_generation": None, "spec": spec}
    yield _published(relays, "gateway", ApplyResource, intent["id"], resource, data, SOURCE)
    about = {"resource": resource, "operation": operation}
    for index, (service, model) in enumerate(FACTS):
        example = dict(model.EXAMPLES[0])
        more = {"generation": generation, "spec": spec, "intent": intent}
        known = {field: value for field, value in more.items() if field in example}
        fact = {**example, **about, **known}
        id_ = f"{operation}-{index}"
        yield _published(relays, service, model, id_, resource, fact, f"/busbar/{service}")


def _published(  # noqa: PLR0917 - what an event consists of
    relays: _Relays,
    relay: str,
    model: type[Message],
    id_: str,
    key: str,
    data: dict[str, Any],
    source: str,
) -> tuple[Record, Envelope]:
    relays.sequences[relay] += 1
    relays.links[relay] = chain(relays.links[relay], source, id_, model.TYPE, data)
    extensions = {"relay": relay, "sequence": f"{relays.sequences[relay]:020d}"}
    envelope = Envelope(
        id=id_,
        source=source,
        type=model.TYPE,
        time=relays.time,
        extensions=extensions,
        data=data,
        key=key,
    )
    return _record(relays, model, key, envelope)


def _record(
    relays: _Relays, model: type[Message], key: str, envelope: Envelope
) -> tuple[Record, Envelope]:
    place = model.TOPIC, crc32(key.encode()) % topics.PARTITIONS
    offset = relays.ends[place]
    relays.ends[place] += 1
    relays.time += STEP
    headers, value, raw_key = codec.write(envelope)
    timestamp = int(relays.time.timestamp() * 1000)
    return Record(*place, offset, timestamp, raw_key, value, headers), envelope


def blocks(items: Iterable[Item], size: int = ROWS) -> Iterator[list[Item]]:
    """``items`` in lists of ``size``."""
    left = iter(items)
    while block := list(islice(left, size)):
        yield block


_INSERT = (
    f"INSERT INTO events ({', '.join(EVENT_COLUMNS)})"  # noqa: S608 - our own names
    f" VALUES ({', '.join('?' * len(EVENT_COLUMNS))})"
)


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """One transaction on a file of a store, which exists."""
    with closing(sqlite3.connect(path, isolation_level=None)) as session:
        session.execute("BEGIN IMMEDIATE")
        yield session
        session.execute("COMMIT")


def insert(session: sqlite3.Connection, rows: list[Row]) -> None:
    """Append ``rows`` to the copy."""
    session.executemany(_INSERT, rows)


def mark_consumed(session: sqlite3.Connection, ends: Mapping[tuple[str, int], int]) -> None:
    """Have audit continue behind ``ends``."""
    places = [(*place, end) for place, end in ends.items()]
    session.executemany("INSERT INTO offsets VALUES ('audit', ?, ?, ?)", places)


def fill_audit(path: Path, history: History) -> None:
    """Write the copy of ``history`` into audit's file."""
    with writing(path) as session:
        for block in blocks(history.rows()):
            insert(session, block)


def fill_gateway(path: Path, history: History) -> None:
    """Write the views of ``history`` into the gateway's file."""
    with writing(path) as session:
        for block in blocks(history.documents()):
            session.executemany("INSERT INTO documents VALUES (?, ?, ?, ?, ?)", block)


async def store_copy(store: Store, history: History) -> None:
    """Append the copy of ``history`` through ``store``, whatever its database is."""
    for block in blocks(history.rows()):

        async def body(tx: Transaction, block: list[tuple[Any, ...]] = block) -> None:
            for row in block:
                about = dict(zip(EVENT_COLUMNS, row, strict=True))
                tx.caused_by(Cause(about["stream"], about["causation"], about["correlation"]))
                await tx.append_raw(
                    about["stream"],
                    id_=about["id"],
                    type_=about["type"],
                    data=about["data"],
                    metadata=_metadata(about["metadata"]),
                    key=about["key"],
                )

        await store.transact(body)


def _metadata(text: str) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(text)
    return found
