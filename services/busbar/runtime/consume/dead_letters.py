"""Dead letters: a record that could not be handled is kept whole, sealed, with the reason."""

import base64
import json
import zlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from busbar.kernel.ids import event_id, operation_id, operation_text
from busbar.messages import topics
from busbar.messages.base import IntentRef
from busbar.messages.delivery import DeadLettered
from busbar.messages.envelope import Envelope
from busbar.runtime.core import encoding
from busbar.runtime.core.bus import Record
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.store import Cause, StoreTransaction

PUBLISHED_BYTES = topics.DEAD_LETTER_MAX_BYTES - 64 * 1024
"""Largest sealed record that is published with a dead letter; the rest is for the envelope."""

DETAIL_CHARS = 1000
"""How much of a detail a dead letter tells."""


@dataclass(frozen=True, slots=True)
class DeadLetterReason:
    """Why a record was dead-lettered: a bounded ``reason`` and a ``detail`` for people."""

    reason: str
    detail: str


def pack(record: Record) -> bytes:
    """Everything of ``record``, as bytes that can be sealed; :func:`unpack` reads them.

    Compressed: JSON spells half a million empty headers, a record of 1 MB, in six.
    """

    def text(value: bytes | None) -> str | None:
        return None if value is None else base64.b64encode(value).decode()

    fields = json.dumps(
        {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.timestamp,
            "key": text(record.key),
            "value": text(record.value),
            "headers": [[name, text(value)] for name, value in record.headers],
        }
    )
    return zlib.compress(fields.encode(), level=1)


def unpack(packed: bytes) -> Record:
    """The record that was sealed.

    Raises:
        ValueError: it is none.
    """

    def raw(value: str | None) -> bytes | None:
        return None if value is None else base64.b64decode(value)

    # Dead letters of earlier releases are not compressed.
    try:
        spelled = packed if packed.startswith(b"{") else zlib.decompress(packed)
    except zlib.error as error:
        raise ValueError("what was sealed is no record") from error
    fields: dict[str, Any] = json.loads(spelled)
    return Record(
        topic=fields["topic"],
        partition=fields["partition"],
        offset=fields["offset"],
        timestamp=fields["timestamp"],
        key=raw(fields["key"]),
        value=raw(fields["value"]),
        headers=[(name, raw(value)) for name, value in fields["headers"]],
    )


class DeadLetters:
    """The dead letters of one service."""

    def __init__(self, service: str, cipher: Cipher) -> None:
        """Seal records with ``cipher``."""
        self._service = service
        self._cipher = cipher

    async def keep(
        self,
        tx: StoreTransaction,
        record: Record,
        why: DeadLetterReason,
        envelope: Envelope | None,
        *,
        ordering_key: str | None = None,
        behind: str | None = None,
    ) -> str:
        """Keep ``record`` and publish that it is dead-lettered; returns the dead letter's id.

        ``ordering_key`` is the key that it parks, ``behind`` the dead letter that it waits for. A
        record that is too large for the topic stays in this service's store alone.
        """
        dead_letter = self._name(record)
        sealed = self._cipher.encrypt(pack(record), context=dead_letter)
        await tx.sealed.insert(
            dead_letter,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=why.reason,
            sealed=sealed,
        )
        published, detail = base64.b64encode(sealed).decode(), shortened(why.detail)
        if len(published) > PUBLISHED_BYTES:
            published = ""
            detail += (
                f" The record is too large to be published; the store of {self._service} has it."
            )
        tx.caused_by(self._cause(record, str(record.offset), envelope))
        fact = DeadLettered(
            operation=_blocked(self._service, record.topic, envelope),
            ordering_key=ordering_key,
            behind=behind,
            dead_letter=dead_letter,
            service=self._service,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=why.reason,
            detail=detail,
            intent=IntentRef.of(envelope) if envelope else None,
            size=len(record.value or b""),
            sealed=published,
        )
        topic = topics.dead_letters(self._service)
        await tx.append(f"dead-letter/{dead_letter}", [fact], key=dead_letter, topic=topic)
        return dead_letter

    def blocked(self, record: Record) -> UUID | None:
        """The operation that could not go on without ``record``."""
        return _blocked(self._service, record.topic, _envelope(record))

    def cause(self, record: Record, what: str) -> Cause:
        """The cause of ``what`` happens to the dead letter of ``record`` once it is kept."""
        return self._cause(record, f"{record.offset}/{what}", _envelope(record))

    def _name(self, record: Record) -> str:
        return event_id(self._service, _place(record), str(record.offset), 0)

    def _cause(self, record: Record, id_: str, envelope: Envelope | None) -> Cause:
        # A source with a space: no event that the codec lets in can have named the same events.
        correlation = _correlation(envelope, self._name(record))
        return Cause(f"dead letter {_place(record)}", id_, correlation)

    async def find(self, tx: StoreTransaction, dead_letter: str) -> Record | None:
        """The record that was dead-lettered as ``dead_letter``."""
        sealed = await tx.sealed.find(dead_letter)
        if sealed is None:
            return None
        return unpack(self._cipher.decrypt(sealed, context=dead_letter))


def _place(record: Record) -> str:
    return f"{record.topic}/{record.partition}"


def _envelope(record: Record) -> Envelope | None:
    content = encoding.read(record)
    return content if isinstance(content, Envelope) else None


def shortened(detail: str) -> str:
    """``detail``, cut where it is longer than anybody wants to read."""
    return detail if len(detail) <= DETAIL_CHARS else detail[:DETAIL_CHARS] + "…"


def _blocked(service: str, topic: str, envelope: Envelope | None) -> UUID | None:
    """The operation that stops here: of an intent, or of a decision that cannot be carried out."""
    if envelope is None:
        return None
    if topic in topics.INTENTS:
        return operation_id(envelope.source, envelope.id)
    if topic != topics.FACTS_POLICY or service != "provisioner":
        return None
    data = envelope.data if isinstance(envelope.data, dict) else {}
    try:
        return UUID(data.get("operation"))
    except (TypeError, ValueError, AttributeError):
        return None


def _correlation(envelope: Envelope | None, dead_letter: str) -> str:
    if envelope is None:
        return dead_letter
    operation = operation_text(envelope.source, envelope.id)
    return envelope.extensions.get("correlationid", operation)
