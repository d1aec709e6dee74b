"""The documents that ``busbar apply`` reads: plain intents and whole CloudEvents, YAML or JSON."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from busbar.cli.shared.exits import CommandError, usage
from busbar.messages.base import Intent
from busbar.messages.catalogue import INTENTS
from busbar.messages.codec import http as codec
from busbar.messages.envelope import Envelope, Unreadable
from busbar.messages.resource import ApplyResource
from busbar.messages.validation import MAX_ERRORS, field_errors
from busbar.runtime.core import documents
from busbar.runtime.core.document import Document, InvalidDocumentError, Place
from busbar.sdk import InvalidIntent
from busbar.sdk.events import event_of

_INTENTS = {intent.TYPE: intent for intent in INTENTS}
_PLAIN = "Write team, environment, promise, name and spec, or a whole CloudEvent."
_NOTHING_DONE = "Correct it; nothing was published."


MAX_BYTES = 16 * 1024 * 1024
"""The largest file: sixteen events of the largest size, or many thousands of ordinary ones."""


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """A mapping that people wrote into ``file``, with the position of each of its values."""

    file: str
    number: int
    document: Document

    @property
    def data(self) -> dict[str, Any]:
        """The document's data."""
        found: dict[str, Any] = self.document.data
        return found

    def at(self, place: Place) -> str:
        """Return ``file, line 3`` for the value at ``place``, or for its innermost parent."""
        return f"{self.file}, line {self.document.position_of(place).line}"


def read_documents(content: str | bytes, *, file: str = "standard input") -> list[SourceDocument]:
    """The documents in ``content``, separated by ``---``; empty ones are left out.

    Raises:
        CommandError: it is neither YAML nor JSON (``runtime.core.documents`` says what is read),
            or a document is not a mapping.
    """
    try:
        text = content if isinstance(content, str) else documents.decode(content)
        loaded = documents.load_all(text, name=file, max_bytes=MAX_BYTES)
    except InvalidDocumentError as error:
        place = f", {error.position}" if error.position else ""
        raise usage(
            f"{file}{place}: {error.problem}.", fix=f"{error.fix[:1].upper()}{error.fix[1:]}."
        ) from None
    found = [document for document in loaded if document.data is not None]
    if not found:
        raise usage(f"There is no document in {file}.", fix=_PLAIN)
    numbered = [SourceDocument(file, number, one) for number, one in enumerate(found, start=1)]
    for one in numbered:
        if not isinstance(one.document.data, dict):
            raise usage(f"{one.at(())}: document {one.number} is not a mapping.", fix=_PLAIN)
    return numbered


def events_of(
    sources: list[SourceDocument],
    *,
    source: str,
    event_id: str | None = None,
    time: datetime | None = None,
) -> list[Envelope]:
    """The events that ``sources`` ask to publish, all of them checked.

    ``event_id`` names the event of the only document; of several it is followed by their number.
    ``time`` dates those that have no date of their own.

    Raises:
        CommandError: one of them is not an intent; the error says which, where and why.
    """
    events = []
    for one in sources:
        own = f"{event_id}-{one.number}" if event_id and len(sources) > 1 else event_id
        try:
            events.append(_event(one, source=source, event_id=own, time=time))
        except (InvalidIntent, Unreadable) as error:
            detail = error.detail if isinstance(error, Unreadable) else str(error)
            raise usage(f"{one.at(())}: {detail}", fix=_NOTHING_DONE) from error
    return events


def _event(
    document: SourceDocument, *, source: str, event_id: str | None, time: datetime | None
) -> Envelope:
    if "specversion" not in document.data:
        intent = _intent(ApplyResource, document, ())
        return event_of(intent, source=source, event_id=event_id, time=time)
    if event_id is not None:
        raise InvalidIntent("A whole CloudEvent has its own id; leave --id out.")
    try:
        body = json.dumps(document.data, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InvalidIntent("It holds values that JSON does not have.") from error
    event = codec.read([("content-type", codec.CONTENT_TYPE)], body)
    model = _INTENTS.get(event.type)
    if model is None:
        raise InvalidIntent(
            f"{event.type} is not an intent; use one of {', '.join(sorted(_INTENTS))}."
        )
    _intent(model, document, ("data",))
    return event


def _intent(model: type[Intent], document: SourceDocument, place: Place) -> Intent:
    data: Any = document.data
    for part in place:
        data = data.get(part)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _invalid(error, model, document, place) from None  # the cause has the values


def _invalid(
    error: ValidationError, model: type[Intent], document: SourceDocument, place: Place
) -> CommandError:
    """Return an error with every wrong field at its line; values are not repeated."""
    wrong = field_errors(error, model)
    lines = [
        f"{document.at((*place, *one.location))}: {one.pointer or 'the data'} {one.expected}"
        for one in wrong[:MAX_ERRORS]
    ]
    more = [f"and {len(wrong) - MAX_ERRORS} more"] if len(wrong) > MAX_ERRORS else []
    return usage("; ".join(lines + more) + ".", fix=_NOTHING_DONE)
