"""Stores every record of every topic, readable or not."""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from busbar.kernel.clock import format_time, time_of
from busbar.kernel.ids import event_id, operation_text
from busbar.kernel.resource import ResourceId
from busbar.messages import topics
from busbar.messages.envelope import Envelope, Unreadable
from busbar.messages.selection import owner_of
from busbar.runtime.consume.dead_letters import pack
from busbar.runtime.consume.service import Service
from busbar.runtime.core.bus import Record
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.personal import PersonalData
from busbar.runtime.store import Cause, Transaction
from busbar.runtime.store.model.json import dumps

GATHER_SECONDS = 0.25
"""Records are gathered this long into one batch: there are many, and latency does not matter."""

UNREADABLE = "unreadable"
RECORDS = "record/"
"""Prefix of the streams of the copy; audit has other streams for its own dead letters."""
_DIGITS = re.compile("[0-9]{1,20}")
_MAX_SEQUENCE = 2**63 - 1
_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Audit:
    """Stores the complete copy.

    Unreadable records are encrypted with ``cipher``, and the ``personal`` values of intents that
    were published in clear are sealed.
    """

    def __init__(self, cipher: Cipher, personal: PersonalData) -> None:
        self._cipher = cipher
        self._personal = personal

    def service(self) -> Service:
        """Return the service with its handlers registered."""
        service = Service("audit", gather_seconds=GATHER_SECONDS)
        service.on_record(self.store_record)
        return service

    async def store_record(
        self, record: Record, content: Envelope | Unreadable, tx: Transaction
    ) -> None:
        """Store one record, readable or not."""
        if isinstance(content, Envelope) and record.topic in topics.INTENTS:
            data = await self._personal.seal(content.data, at=time_of(record.timestamp))
            content = replace(content, data=data)
        entry = entry_of(record, content, self._cipher)
        tx.caused_by(Cause(entry.place, str(record.offset), entry.operation or ""))
        await tx.append_raw(
            f"{RECORDS}{entry.place}",
            id_=entry.id,
            type_=entry.type,
            data=entry.data,
            metadata=entry.metadata,
            key=entry.owner,
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as it is stored. ``place`` is its topic and partition, ``data`` is JSON text."""

    place: str
    id: str
    type: str
    data: str = field(repr=False)
    metadata: Mapping[str, Any] = field(repr=False)
    operation: str | None
    owner: str | None
    """The resource that it is about, else its team and a slash; None is what belongs to no team."""


def entry_of(record: Record, content: Envelope | Unreadable, cipher: Cipher) -> Entry:
    """Return what is stored of ``record``; one that is unreadable is encrypted as a whole."""
    place = f"{record.topic}/{record.partition}"
    id_ = event_id("audit", place, str(record.offset), 0)
    metadata = _metadata(record)
    if record.topic == topics.FACTS_HEAD:
        metadata["signed"] = signed_of(record)
    if isinstance(content, Unreadable):
        sealed = cipher.encrypt(pack(record), context=id_)
        metadata["kafka_key"] = None
        data = dumps({"reason": content.code, "sealed": base64.b64encode(sealed).decode()})
        return Entry(place, id_, UNREADABLE, data, metadata, operation=None, owner=None)
    return Entry(
        place,
        id_,
        content.type,
        dumps(content.data),
        metadata | _identity(content),
        operation=_operation(record.topic, content),
        owner=owner_of(_resource(content), content.data),
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


def signed_of(record: Record) -> dict[str, Any] | None:
    """Return what the signature of a record covers, as text; None if it is not text."""
    try:
        return {
            "key": None if record.key is None else record.key.decode(),
            "headers": [
                [name, None if value is None else value.decode()] for name, value in record.headers
            ],
            "value": None if record.value is None else record.value.decode(),
        }
    except UnicodeDecodeError:
        return None


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
