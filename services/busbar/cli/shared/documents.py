"""The documents that ``busbar apply`` reads: plain intents and whole CloudEvents, YAML or JSON."""

import json
from datetime import datetime
from typing import Any

from busbar.cli.shared.exits import usage
from busbar.messages.catalogue import INTENTS
from busbar.messages.codec import http as codec
from busbar.messages.envelope import Envelope, Unreadable
from busbar.messages.resource import ApplyResource
from busbar.runtime.core import yaml
from busbar.sdk import InvalidIntent
from busbar.sdk.events import event_of, intent_of

_INTENTS = {intent.TYPE: intent for intent in INTENTS}
_PLAIN = "Write team, environment, promise, name and spec, or a whole CloudEvent."


MAX_BYTES = 16 * 1024 * 1024
"""The largest file: sixteen events of the largest size, or many thousands of ordinary ones."""


def read_documents(text: str) -> list[dict[str, Any]]:
    """The documents in ``text``, separated by ``---``; empty ones are left out.

    Raises:
        CommandError: it is neither YAML nor JSON (``runtime.core.yaml`` says what is read), or a
            document is not a mapping.
    """
    try:
        documents = yaml.load_all(text, max_bytes=MAX_BYTES)
    except yaml.InvalidYamlError as error:
        place = f"{error.position}: " if error.position else ""
        raise usage(
            f"The file cannot be read: {place}{error.problem}.",
            fix=f"{error.fix[:1].upper()}{error.fix[1:]}.",
        ) from None
    found = [document.data for document in documents if document.data is not None]
    if not found:
        raise usage("There is no document in the file.", fix=_PLAIN)
    for number, item in enumerate(found, start=1):
        if not isinstance(item, dict):
            raise usage(f"Document {number} is not a mapping.", fix=_PLAIN)
    return found


def events_of(
    documents: list[dict[str, Any]],
    *,
    source: str,
    event_id: str | None = None,
    time: datetime | None = None,
) -> list[Envelope]:
    """The events that ``documents`` ask to publish, all of them checked.

    ``event_id`` names the event of the only document; of several it is followed by their number.
    ``time`` dates those that have no date of their own.

    Raises:
        CommandError: one of them is not an intent; the error says which and why.
    """
    events = []
    for number, document in enumerate(documents, start=1):
        several = len(documents) > 1
        own = f"{event_id}-{number}" if event_id and several else event_id
        try:
            events.append(_event(document, source=source, event_id=own, time=time))
        except (InvalidIntent, Unreadable) as error:
            detail = error.detail if isinstance(error, Unreadable) else str(error)
            where = f"Document {number}: " if several else ""
            raise usage(f"{where}{detail}", fix="Correct it; nothing was published.") from error
    return events


def _event(
    document: dict[str, Any], *, source: str, event_id: str | None, time: datetime | None
) -> Envelope:
    if "specversion" not in document:
        intent = intent_of(ApplyResource, document)
        return event_of(intent, source=source, event_id=event_id, time=time)
    if event_id is not None:
        raise InvalidIntent("A whole CloudEvent has its own id; leave --id out.")
    try:
        body = json.dumps(document, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InvalidIntent("It holds values that JSON does not have.") from error
    event = codec.read([("content-type", codec.CONTENT_TYPE)], body)
    model = _INTENTS.get(event.type)
    if model is None:
        raise InvalidIntent(
            f"{event.type} is not an intent; use one of {', '.join(sorted(_INTENTS))}."
        )
    intent_of(model, event.data)
    return event
