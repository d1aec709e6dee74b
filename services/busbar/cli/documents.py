"""The documents that ``busbar apply`` reads: plain intents and whole CloudEvents, YAML or JSON."""

import json
from collections.abc import Hashable
from typing import Any

import yaml

from busbar.cli.exits import usage
from busbar.messages.catalogue import INTENTS
from busbar.messages.codec import http as codec
from busbar.messages.envelope import Envelope, Unreadable
from busbar.messages.resource import ApplyResource
from busbar.sdk import InvalidIntent
from busbar.sdk.events import event_of, intent_of

_INTENTS = {intent.TYPE: intent for intent in INTENTS}
_PLAIN = "Write team, environment, promise, name and spec, or a whole CloudEvent."


class _Loader(yaml.SafeLoader):
    """YAML whose timestamps stay text, as in JSON, and whose keys may not come twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """One mapping.

        Raises:
            yaml.MarkedYAMLError: a key comes twice.
        """
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} comes twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_documents(text: str) -> list[dict[str, Any]]:
    """The documents in ``text``, separated by ``---``; empty ones are left out.

    Raises:
        CommandError: it is neither YAML nor JSON, or a document is no mapping.
    """
    try:
        found = [item for item in yaml.load_all(text, Loader=_Loader) if item is not None]
    except yaml.YAMLError as error:
        raise usage(
            f"The file is neither YAML nor JSON: {_place(error)}.", fix="Correct that place."
        ) from None
    except RecursionError:
        raise usage("The file nests too deep.", fix="Write a flatter document.") from None
    if not found:
        raise usage("There is no document in the file.", fix=_PLAIN)
    for number, item in enumerate(found, start=1):
        if not isinstance(item, dict):
            raise usage(f"Document {number} is no mapping.", fix=_PLAIN)
    return found


def _place(error: yaml.YAMLError) -> str:
    # str(error) would quote the lines around it, which may hold anything.
    if isinstance(error, yaml.MarkedYAMLError):
        what = " ".join(filter(None, (error.context, error.problem)))
        mark = error.problem_mark or error.context_mark
        return f"line {mark.line + 1} column {mark.column + 1}: {what}" if mark else what
    return "it has characters that YAML does not allow"


def events_of(
    documents: list[dict[str, Any]], *, source: str, event_id: str | None = None
) -> list[Envelope]:
    """The events that ``documents`` ask to publish, all of them checked.

    ``event_id`` names the event of the only document; of several it is followed by their number.

    Raises:
        CommandError: one of them is no intent; the error says which and why.
    """
    events = []
    for number, document in enumerate(documents, start=1):
        several = len(documents) > 1
        own = f"{event_id}-{number}" if event_id and several else event_id
        try:
            events.append(_event(document, source=source, event_id=own))
        except (InvalidIntent, Unreadable) as error:
            detail = error.detail if isinstance(error, Unreadable) else str(error)
            where = f"Document {number}: " if several else ""
            raise usage(f"{where}{detail}", fix="Correct it; nothing was published.") from error
    return events


def _event(document: dict[str, Any], *, source: str, event_id: str | None) -> Envelope:
    if "specversion" not in document:
        intent = intent_of(ApplyResource, document)
        return event_of(intent, source=source, event_id=event_id)
    if event_id is not None:
        raise InvalidIntent("A whole CloudEvent has its own id; leave --id out.")
    try:
        body = json.dumps(document, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InvalidIntent("It holds values that JSON does not have.") from error
    event = codec.read([("content-type", codec.CONTENT_TYPE)], body)
    model = _INTENTS.get(event.type)
    if model is None:
        raise InvalidIntent(f"{event.type} is no intent; use one of {', '.join(sorted(_INTENTS))}.")
    intent_of(model, event.data)
    return event
