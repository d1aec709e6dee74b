"""The source, id and type of a Kafka record that is not a valid event, if they can be read.

They are not verified, and name nothing: they are shown with the dead letter, so that its producer
finds it. The order of a structured event's members counts: what follows a broken one cannot be
read.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from busbar.messages.codec.attributes import check_text
from busbar.messages.envelope import Unreadable

_STRUCTURED: Final = b"application/cloudevents"
_PREFIX: Final = "ce_"
_LONGEST: Final = len("content-type")
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_DECODER: Final = json.JSONDecoder()
_PLAIN: Final = re.compile(r"true|false|null|-?[0-9][0-9.eE+-]*")
_BRACKETS: Final = re.compile(r'["\[\]{}]')


class Identity(NamedTuple):
    """The identity that a refused record claims; ``type`` is empty if it cannot be read."""

    source: str
    id: str
    type: str


def identity_of(
    headers: Sequence[tuple[str, bytes | None]], value: bytes | None
) -> Identity | None:
    """Return the identity that the record claims, or None if its source or id cannot be read.

    In structured mode the value says it, and the headers do if that cannot be read.
    """
    short = [(name.lower(), text) for name, text in headers if len(name) <= _LONGEST]
    kinds = [text for name, text in short if name == "content-type" and text]
    if value and kinds and kinds[0].lower().startswith(_STRUCTURED):
        found = _identity(_members(value.decode(errors="surrogateescape").removeprefix("\ufeff")))
        if found is not None:
            return found
    return _identity(
        (name.removeprefix(_PREFIX), text.decode(errors="surrogateescape"))
        for name, text in short
        if name.startswith(_PREFIX) and text is not None
    )


def _identity(attributes: Iterable[tuple[str, Any]]) -> Identity | None:
    """Return the identity among ``attributes``; one that is given twice cannot be read."""
    found: dict[str, str] = {}
    for name, value in attributes:
        if name in Identity._fields:
            found[name] = "" if name in found else _readable(value)
    source, id_ = found.get("source"), found.get("id")
    return Identity(source, id_, found.get("type", "")) if source and id_ else None


def _readable(value: object) -> str:
    """Return ``value`` if it is text that an attribute may hold, else nothing."""
    try:
        return check_text("", value)
    except Unreadable:
        return ""


def _members(text: str) -> Iterator[tuple[str, Any]]:
    """Yield the members of the JSON object ``text`` up to the first that cannot be read."""
    at = _after_space(text, 0)
    following = "{"
    while text.startswith(following, at):
        try:
            name, at = _value(text, _after_space(text, at + 1))
            at = _after_space(text, at)
            if name is None or not text.startswith(":", at):
                return
            value, at = _value(text, _after_space(text, at + 1))
        except ValueError:
            return
        at = _after_space(text, at)
        if not text.startswith((",", "}"), at):
            return  # cut in the value, which may have been longer
        yield name, value
        following = ","


def _value(text: str, at: int) -> tuple[str | None, int]:
    """Return the string that begins at ``at``, None for any other value, and where it ends.

    Other values are not decoded: that would fail for numbers of many digits and for deep nesting,
    which are valid JSON.

    Raises:
        ValueError: there is no value, or it has no end.
    """
    if text.startswith('"', at):
        value, end = _DECODER.raw_decode(text, at)
        return str(value), end
    if plain := _PLAIN.match(text, at):
        return None, plain.end()
    if not text.startswith(("[", "{"), at):
        raise ValueError("no value")
    depth = 0
    while found := _BRACKETS.search(text, at):
        at = found.end()
        if found[0] == '"':
            _, at = _DECODER.raw_decode(text, found.start())
        else:
            depth += 1 if found[0] in "[{" else -1
            if depth <= 0:
                return None, at
    raise ValueError("no end")


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()
