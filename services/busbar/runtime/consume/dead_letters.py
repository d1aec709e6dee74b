"""Dead letters: records that could not be handled, kept complete and encrypted, with the reason."""

import base64
import json
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from busbar.kernel.ids import event_id, operation_id, operation_text, record_operation
from busbar.messages import topics
from busbar.messages.base import IntentRef
from busbar.messages.codec.identity import Identity, identity_of
from busbar.messages.delivery import DeadLettered
from busbar.messages.envelope import Envelope
from busbar.messages.request import RequestAllowed
from busbar.runtime.core import encoding
from busbar.runtime.core.bus import Record
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.personal import PersonalData
from busbar.runtime.store import Cause, StoreTransaction

PUBLISHED_BYTES = topics.DEAD_LETTER_MAX_BYTES - 64 * 1024
"""Largest encrypted record that is published with a dead letter, in bytes of base64.

The rest of the topic's limit is for the envelope.
"""

DETAIL_CHARS = 1000
"""Maximum length of the detail in a dead letter, in characters."""


@dataclass(frozen=True, slots=True)
class DeadLetterReason:
    """The reason for a dead letter: a ``reason`` of a bounded set, and a readable ``detail``."""

    reason: str
    detail: str


def pack(record: Record) -> bytes:
    """Serialize ``record`` completely, for encryption; :func:`unpack` is the inverse.

    The result is compressed: as JSON, a record of 1 MB with half a million empty headers takes
    6 MB.
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
    """Deserialize a record that :func:`pack` serialized.

    Raises:
        ValueError: ``packed`` is not a serialized record.
    """

    def raw(value: str | None) -> bytes | None:
        return None if value is None else base64.b64decode(value)

    # Dead letters of earlier releases are not compressed.
    try:
        text = packed if packed.startswith(b"{") else zlib.decompress(packed)
    except zlib.error as error:
        raise ValueError("the decrypted bytes are not a record") from error
    fields: dict[str, Any] = json.loads(text)
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

    def __init__(
        self,
        service: str,
        cipher: Cipher,
        *,
        personal: PersonalData | None = None,
        executes: Collection[str] = (),
    ) -> None:
        """Encrypt the records that ``service`` could not handle with ``cipher``.

        Those with ``personal`` data are encrypted with the keys of their subjects before.
        ``executes`` are the topics of facts that the service carries out.
        """
        self._personal = personal
        self._service = service
        self._executes = executes
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
        """Keep ``record`` as a dead letter, publish that, and return the dead letter's id.

        ``ordering_key`` is the key that it parks, ``behind`` the dead letter that it waits for. A
        record that is too large for the topic is kept in this service's store only.
        """
        dead_letter = self._name(record)
        packed = pack(record)
        if self._personal is not None and envelope is not None and record.topic in topics.INTENTS:
            packed = await self._personal.seal_record(packed, envelope.data)
        sealed = self._cipher.encrypt(packed, context=dead_letter)
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
                f" The record is too large to publish; it is only in the store of {self._service}."
            )
        refused = _refused(record, envelope) if ordering_key is None else None
        claims = identity_of(record.headers, record.value) if refused else None
        tx.caused_by(self._cause(record, str(record.offset), envelope, refused=refused))
        fact = DeadLettered(
            operation=refused or self._blocked_by(record.topic, envelope),
            refused=refused is not None,
            ordering_key=ordering_key,
            behind=behind,
            dead_letter=dead_letter,
            service=self._service,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=why.reason,
            detail=detail,
            intent=_intent(envelope or claims),
            size=len(record.value or b""),
            sealed=published,
        )
        topic = topics.dead_letters(self._service)
        await tx.append(f"dead-letter/{dead_letter}", [fact], key=dead_letter, topic=topic)
        return dead_letter

    def blocked(self, record: Record) -> UUID | None:
        """Return the operation that ``record`` blocks, if any."""
        return self._blocked_by(record.topic, _envelope(record))

    def _blocked_by(self, topic: str, envelope: Envelope | None) -> UUID | None:
        """Return the operation of an intent, or the one named by a fact to carry out."""
        if envelope is None:
            return None
        if topic in topics.INTENTS:
            return operation_id(envelope.source, envelope.id)
        if topic != RequestAllowed.TOPIC and topic not in self._executes:
            return None
        data = envelope.data if isinstance(envelope.data, dict) else {}
        try:
            return UUID(data.get("operation"))
        except (TypeError, ValueError, AttributeError):
            return None

    def cause(self, record: Record, what: str) -> Cause:
        """Return the cause of a later event (``what``) about the dead letter of ``record``."""
        return self._cause(record, f"{record.offset}/{what}", _envelope(record))

    def _name(self, record: Record) -> str:
        return event_id(self._service, _place(record), str(record.offset), 0)

    def _cause(
        self, record: Record, id_: str, envelope: Envelope | None, *, refused: UUID | None = None
    ) -> Cause:
        # The space in the source prevents collisions: the codec rejects events with such a source.
        correlation = str(refused or _correlation(envelope, self._name(record)))
        asked = None
        if envelope is not None and record.topic not in topics.INTENTS:
            asked = envelope.extensions.get("onbehalfof")
        place = f"dead letter {_place(record)}"
        return Cause(place, id_, correlation, onbehalfof=asked)

    async def find(self, tx: StoreTransaction, dead_letter: str) -> Record | None:
        """Return the record that was dead-lettered as ``dead_letter``, or None if it is unknown.

        Raises:
            Reject: it has personal data of a subject that was erased.
        """
        sealed = await tx.sealed.find(dead_letter)
        if sealed is None:
            return None
        packed = self._cipher.decrypt(sealed, context=dead_letter)
        if self._personal is not None:
            packed = await self._personal.open_record(packed)
        return unpack(packed)

    async def knows(self, tx: StoreTransaction, dead_letter: str) -> bool:
        """Return whether there is a dead letter of this id, whether it can be opened or not."""
        return await tx.sealed.find(dead_letter) is not None


def _place(record: Record) -> str:
    return f"{record.topic}/{record.partition}"


def _envelope(record: Record) -> Envelope | None:
    content = encoding.read(record)
    return content if isinstance(content, Envelope) else None


def shortened(detail: str) -> str:
    """Return ``detail``, truncated to :data:`DETAIL_CHARS`."""
    return detail if len(detail) <= DETAIL_CHARS else detail[:DETAIL_CHARS] + "…"


def _refused(record: Record, envelope: Envelope | None) -> UUID | None:
    """Return the operation of an intent that cannot be read: it is named by the record's place.

    Everyone may write any source and id into a broken record, so they name nothing (ADR 36).
    """
    if envelope is not None or record.topic not in topics.INTENTS:
        return None
    return record_operation(record.topic, record.partition, record.offset)


def _intent(about: Envelope | Identity | None) -> IntentRef | None:
    return IntentRef(source=about.source, id=about.id, type=about.type) if about else None


def _correlation(envelope: Envelope | None, dead_letter: str) -> str:
    if envelope is None:
        return dead_letter
    operation = operation_text(envelope.source, envelope.id)
    return envelope.extensions.get("correlationid", operation)
