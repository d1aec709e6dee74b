"""Stores every record of every topic, readable or not, and answers from this copy."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from busbar.audit.domain import AuditRecord, Head, Place, Report, compare
from busbar.kernel.clock import format_time
from busbar.kernel.ids import event_id, operation_text
from busbar.kernel.resource import ResourceId
from busbar.messages import topics
from busbar.messages.delivery import HeadPublished
from busbar.messages.envelope import Envelope, Unreadable
from busbar.runtime.consume.dead_letters import pack
from busbar.runtime.consume.service import Service
from busbar.runtime.core.bus import Record
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.outbox.events import GENESIS, chain
from busbar.runtime.store import Cause, Store, StoredEvent, Transaction
from busbar.runtime.store.model.json import dumps, loads

GATHER_SECONDS = 0.25
"""Records are gathered this long into one batch: there are many, and latency does not matter."""

PAGE_SIZE = 1000
CATCH_UP_SECONDS = 5.0
"""How long a comparison waits for the consumer to catch up with the broker."""
CATCH_UP_CHECKS = 50
UNREADABLE = "unreadable"
RECORDS = "record/"
"""Prefix of the streams of the copy; audit has other streams for its own dead letters."""
_DIGITS = re.compile("[0-9]{1,20}")
_MAX_SEQUENCE = 2**63 - 1
_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class BusLog(Protocol):
    """The bus, read from its beginning to its current end."""

    def places(self) -> AsyncIterator[tuple[Place, str]]:
        """Yield every record's place and the SHA-256 of its value."""
        ...


class Audit:
    """Stores the complete copy; encrypts unreadable records with ``cipher``."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher

    def service(self) -> Service:
        """Return the service with its handlers registered."""
        service = Service("audit", gather_seconds=GATHER_SECONDS)
        service.on_record(self.store_record)
        return service

    async def store_record(
        self, record: Record, content: Envelope | Unreadable, tx: Transaction
    ) -> None:
        """Store one record, readable or not."""
        place = f"{record.topic}/{record.partition}"
        id_ = event_id("audit", place, str(record.offset), 0)
        metadata = _metadata(record)
        if isinstance(content, Unreadable):
            sealed = self._cipher.encrypt(pack(record), context=id_)
            metadata["kafka_key"] = None
            data: Any = {"reason": content.code, "sealed": base64.b64encode(sealed).decode()}
            type_, operation, resource = UNREADABLE, None, None
        else:
            data, type_ = content.data, content.type
            operation, resource = _operation(record.topic, content), _resource(content)
            metadata |= _identity(content)
        tx.caused_by(Cause(place, str(record.offset), operation or ""))
        await tx.append_raw(
            f"{RECORDS}{place}",
            id_=id_,
            type_=type_,
            data=dumps(data),
            metadata=metadata,
            key=resource,
        )


def _metadata(record: Record) -> dict[str, Any]:
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "kafka_key": None if record.key is None else record.key.decode("utf-8", "replace"),
        "value_digest": hashlib.sha256(record.value or b"").hexdigest(),
    }


def _identity(envelope: Envelope) -> dict[str, Any]:
    return {
        "source": envelope.source,
        "id": envelope.id,
        "subject": envelope.subject,
        "time": format_time(envelope.time) if envelope.time else None,
        "extensions": dict(envelope.extensions),
        "relay": envelope.extensions.get("relay"),
        "sequence": _sequence(envelope.extensions.get("sequence", "")),
    }


def _sequence(text: str) -> int | None:
    """Return the number that a relay wrote; a producer may send anything."""
    if not _DIGITS.fullmatch(text):
        return None
    number = int(text)
    return number if number <= _MAX_SEQUENCE else None


def _operation(topic: str, envelope: Envelope) -> str | None:
    if topic in topics.INTENTS:
        return operation_text(envelope.source, envelope.id)
    data = envelope.data if isinstance(envelope.data, dict) else {}
    named = data.get("operation")
    if isinstance(named, str):
        return _as_operation(named)
    intent = data.get("intent")
    if isinstance(intent, dict):
        return operation_text(str(intent.get("source")), str(intent.get("id")))
    return None


def _resource(envelope: Envelope) -> str | None:
    data = envelope.data if isinstance(envelope.data, dict) else {}
    stated = data.get("resource")
    if isinstance(stated, str):
        return _as_resource(stated)
    named = ResourceId.named_in(data)
    return str(named) if named else None


def _as_operation(text: str) -> str | None:
    """Return ``text`` if it has the form of an operation's id; a producer may send anything."""
    return text if _UUID.fullmatch(text) else None


def _as_resource(text: str) -> str | None:
    """Return ``text`` if it has the form of a resource's id."""
    return text if ResourceId.is_one(text) else None


def record_of(event: StoredEvent) -> AuditRecord:
    """Return the audit record that was stored as ``event``."""
    about: Mapping[str, Any] = loads(event.metadata)
    readable = event.type != UNREADABLE
    return AuditRecord(
        cursor=event.position,
        topic=about["topic"],
        partition=about["partition"],
        offset=about["offset"],
        key=about.get("kafka_key"),
        type=event.type,
        id=about.get("id", ""),
        source=about.get("source", ""),
        time=about.get("time") or _published(about["timestamp"]),
        recorded_time=event.recorded_time,
        resource=event.key,
        operation=event.correlation or None,
        relay=about.get("relay"),
        sequence=about.get("sequence"),
        value_digest=about["value_digest"],
        readable=readable,
        data=loads(event.data) if readable else None,
    )


def _published(timestamp: int) -> str | None:
    """Return Kafka's timestamp (ms since 1970) as text, or None if it is out of range.

    Producers choose this timestamp, so it can be any number.
    """
    try:
        return format_time(datetime.fromtimestamp(timestamp / 1000, UTC))
    except (ValueError, OverflowError, OSError):
        return None


async def records(
    store: Store, *, resource: str | None = None, operation: str | None = None
) -> AsyncIterator[AuditRecord]:
    """Yield the records of the copy in order of arrival, of one resource or operation if given."""
    after = 0
    while page := await store.events(
        after=after, limit=PAGE_SIZE, key=resource, correlation=operation, category=RECORDS
    ):
        for event in page:
            yield record_of(event)
        after = page[-1].position


async def completeness(store: Store, log: BusLog) -> Report:
    """Compare the copy with the heads that relays published and with what Kafka has now.

    Records stored before the bus is read must be on the bus; records on the bus must be stored
    once the consumer has read that far. So records that arrive meanwhile are not reported missing.
    """
    before = await store.last_position(category=RECORDS)
    published = {place: digest async for place, digest in log.places()}
    await _caught_up(store, published)
    stored: dict[Place, str] = {}
    heads: dict[str, Head] = {}
    numbered: dict[str, dict[int, AuditRecord]] = {}
    is_early = before > 0
    async for record in records(store):
        place = (record.topic, record.partition, record.offset)
        if is_early or place in published:
            stored[place] = record.value_digest
        if record.type == HeadPublished.TYPE and record.topic == topics.FACTS_HEAD:
            head = HeadPublished.model_validate(record.data)
            newest = heads.get(head.relay)
            if is_early and (newest is None or newest.sequence < head.sequence):
                heads[head.relay] = Head(head.relay, head.sequence, head.digest)
        elif record.relay is not None and record.sequence is not None and _is_numbered(record):
            numbered.setdefault(record.relay, {}).setdefault(record.sequence, record)
        is_early = is_early and record.cursor != before
    return compare(
        heads=heads.values(),
        sequences={relay: found.keys() for relay, found in numbered.items()},
        digests={
            (relay, sequence): digest
            for relay, found in numbered.items()
            for sequence, digest in _chained(found)
        },
        stored=stored,
        published=published,
        expiring=topics.INTENTS,
    )


def _is_numbered(record: AuditRecord) -> bool:
    """Return whether the record's sequence was assigned by a relay.

    On intent topics, which every producer may write to, only the gateway's is: a producer that
    numbers its own events must not make a relay look broken.
    """
    if record.topic in topics.INTENTS:
        return record.relay in topics.FORWARDING_RELAYS
    return record.source == f"/busbar/{record.relay}"


async def _caught_up(store: Store, published: Mapping[Place, str]) -> None:
    """Wait a few seconds at most until the consumer has read everything in ``published``."""
    ends: dict[tuple[str, int], int] = {}
    for topic, partition, offset in published:
        ends[topic, partition] = max(offset, ends.get((topic, partition), 0))
    for _ in range(CATCH_UP_CHECKS):
        async with store.reading() as tx:
            reached = await tx.inbox.offsets("audit")
        if all(reached.get(partition, 0) > end for partition, end in ends.items()):
            return
        await store.clock.sleep(CATCH_UP_SECONDS / CATCH_UP_CHECKS)


def _chained(found: Mapping[int, AuditRecord]) -> list[tuple[int, str]]:
    digests, link, number = [], GENESIS, 1
    while number in found:
        record = found[number]
        link = chain(link, record.source, record.id, record.type, record.data)
        digests.append((number, link))
        number += 1
    return digests
