"""The documents that ``busbar apply`` reads: plain intents and whole CloudEvents, YAML or JSON."""

import json
import math
from collections.abc import Hashable
from datetime import datetime
from typing import Any

import yaml

from busbar.cli.shared.exits import usage
from busbar.messages.catalogue import INTENTS
from busbar.messages.codec import http as codec
from busbar.messages.envelope import Envelope, Unreadable
from busbar.messages.resource import ApplyResource
from busbar.sdk import InvalidIntent
from busbar.sdk.events import event_of, intent_of

_INTENTS = {intent.TYPE: intent for intent in INTENTS}
_PLAIN = "Write team, environment, promise, name and spec, or a whole CloudEvent."


MAX_VALUES = 100_000
"""Values in one document: far more than an event of 1 MB holds."""


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

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        """One scalar; JSON's surrogate pairs become the character that they mean.

        Raises:
            yaml.MarkedYAMLError: half of a pair stands alone.
        """
        value = super().construct_scalar(node)
        if not isinstance(value, str) or value.isascii():
            return value
        try:
            return value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError as error:
            raise yaml.MarkedYAMLError(
                problem="half of a surrogate pair stands alone", problem_mark=node.start_mark
            ) from error


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
    except ValueError as error:
        # A date, a number or base64 that only looks like one.
        raise usage(
            f"The file is neither YAML nor JSON: {error}.", fix="Put that value into quotes."
        ) from error
    if not found:
        raise usage("There is no document in the file.", fix=_PLAIN)
    for number, item in enumerate(found, start=1):
        if not isinstance(item, dict):
            raise usage(f"Document {number} is no mapping.", fix=_PLAIN)
        _check_json(item, number)
    return found


def _check_json(document: dict[Any, Any], number: int) -> None:
    """Refuse what YAML has and JSON has not, and aliases that grow without end."""
    waiting: list[tuple[str, Any]] = [("", document)]
    values = 0
    while waiting:
        place, value = waiting.pop()
        values += 1
        if values > MAX_VALUES:
            raise usage(
                f"Document {number} holds more than {MAX_VALUES} values.",
                fix="Write a smaller document, without aliases that refer to each other.",
            )
        if isinstance(value, dict):
            waiting += [(f"{place}/{name}", item) for name, item in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{place}/{index}", item) for index, item in enumerate(value)]
        if wrong := _not_json(value):
            raise usage(f"Document {number} at {place or '/'} {wrong}.", fix="Put it into quotes.")


def _not_json(value: Any) -> str | None:
    if isinstance(value, dict):
        known = all(isinstance(name, str) for name in value)
        return None if known else "has a key that is no text"
    if isinstance(value, float):
        return None if math.isfinite(value) else "is no value of JSON"
    known = value is None or isinstance(value, str | int | list)
    return None if known else "is no value of JSON"


def _place(error: yaml.YAMLError) -> str:
    # str(error) would quote the lines around it, which may hold anything.
    if isinstance(error, yaml.MarkedYAMLError):
        what = " ".join(filter(None, (error.context, error.problem)))
        mark = error.problem_mark or error.context_mark
        return f"line {mark.line + 1} column {mark.column + 1}: {what}" if mark else what
    return "it has characters that YAML does not allow"


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
        CommandError: one of them is no intent; the error says which and why.
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
        raise InvalidIntent(f"{event.type} is no intent; use one of {', '.join(sorted(_INTENTS))}.")
    intent_of(model, event.data)
    return event
