"""Choosing the content mode, and binary mode: attributes in headers, data as the body.

Kafka and HTTP differ only in the encoding of attributes as headers: see :class:`Binding`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from busbar.messages.codec import media_type, structured
from busbar.messages.codec.attributes import (
    SHORT,
    check_data_type,
    check_media_type,
    check_name,
    check_text,
    envelope_of,
)
from busbar.messages.codec.json import load_json, shown
from busbar.messages.envelope import Envelope, Unreadable

MAX_HEADERS = 100

MAX_CACHED_NAMES = 1024
MAX_CACHED_NAME_CHARS = 64
"""Longer names are not cached: a producer may invent them, and they may be very long."""

_CONTENT_TYPE = "content-type"
_CONTENT_TYPE_LENGTH = len(_CONTENT_TYPE)

Value = TypeVar("Value")


class Names(dict[str, str | None]):
    """A cache from header names to attribute names; nearly all are among a few dozen.

    None stands for a header that CloudEvents does not define. Refused names are not cached.
    """

    def __init__(self, prefix: str) -> None:
        """Take headers that start with ``prefix``, in any case, for attributes."""
        super().__init__()
        self.prefix = prefix

    def __missing__(self, header: str) -> str | None:
        name = _name(header, self.prefix)
        if len(header) <= MAX_CACHED_NAME_CHARS:
            if len(self) >= MAX_CACHED_NAMES:
                self.clear()  # the next record restores the usual ones
            self[header] = name
        return name


@dataclass(frozen=True, slots=True)
class Binding(Generic[Value]):
    """The encoding of attributes as headers in one protocol: names, and texts of values.

    Where a header ``repeats_content_type``, it is read if it says the same as ``content-type``.
    """

    names: Names
    plain: Callable[[str, Value], str]
    decode: Callable[[str, Value], str]
    repeats_content_type: bool = False


def read(
    headers: Sequence[tuple[str, Value]],
    body: bytes | None,
    *,
    binding: Binding[Value],
    key: str | None = None,
) -> Envelope:
    """Return the event in ``headers`` and ``body``; headers of other standards are skipped.

    Raises:
        Unreadable: they are not a valid CloudEvent.
    """
    _check_size(headers, body)
    content_type = _content_type(headers, binding)
    if structured.is_structured(content_type):
        return structured.read(body, key=key)
    attributes = _attributes(headers, binding)
    _check_repeated(attributes, content_type, binding)
    data: Any = None
    if body is None:
        check_media_type(content_type)
    else:
        check_data_type(content_type)
        data = load_json(body)
    return envelope_of(attributes, data=data, body=body or b"", key=key)


def _check_size(headers: Sequence[tuple[str, Value]], body: bytes | None) -> None:
    if len(headers) > MAX_HEADERS:
        raise Unreadable(
            "too_many_headers", f"{len(headers)} headers came; send at most {MAX_HEADERS}."
        )
    if body is not None and len(body) > structured.MAX_BYTES:
        raise Unreadable(
            "too_large",
            f"The body has {len(body)} bytes; send at most {structured.MAX_BYTES}, and a"
            " reference to anything longer.",
        )


def _content_type(headers: Sequence[tuple[str, Value]], binding: Binding[Value]) -> str | None:
    found = None
    for name, value in headers:
        if len(name) != _CONTENT_TYPE_LENGTH or name.lower() != _CONTENT_TYPE:
            continue
        if found is not None:
            raise _twice(name)
        found = check_text("datacontenttype", binding.plain(name, value).strip(" \t"))
    return found


def _attributes(headers: Sequence[tuple[str, Value]], binding: Binding[Value]) -> dict[str, str]:
    names, decode = binding.names, binding.decode
    attributes: dict[str, str] = {}
    for header, value in headers:
        name = names[header]
        if name is None:
            continue
        if name in attributes:
            raise _twice(header)
        attributes[name] = text = decode(header, value)
        # Nearly all texts are plain ASCII; this check is faster than a call for each of them.
        if len(text) > SHORT or not text.isascii() or not text.isprintable():
            check_text(name, text)
    if not attributes:
        raise Unreadable(
            "not_a_cloudevent",
            f"No {names.prefix}* header and no content-type application/cloudevents+json came;"
            " send one or the other.",
        )
    return attributes


def _check_repeated(
    attributes: dict[str, str], content_type: str | None, binding: Binding[Value]
) -> None:
    """Remove ``datacontenttype``, which is ``content_type`` in this mode, from ``attributes``."""
    repeated = attributes.pop("datacontenttype", None)
    if repeated is None:
        return
    header = shown(binding.names.prefix + "datacontenttype")
    if not binding.repeats_content_type:
        raise Unreadable("bad_attribute", f"The header {header} is refused; send content-type.")
    if content_type is None:
        raise Unreadable(
            "bad_attribute",
            f"The header {header} came without content-type; send content-type, which declares the"
            " data.",
        )
    if media_type.parse(repeated) != media_type.parse(content_type):
        raise Unreadable(
            "bad_attribute",
            f"The headers {header} and content-type differ; send the same in both, or content-type"
            " only.",
        )


def _name(header: str, prefix: str) -> str | None:
    """Return the attribute that ``header`` encodes; None if CloudEvents does not define it."""
    start = len(prefix)
    if header[:start].lower() != prefix:
        return None
    name = header[start:]
    # Lower-casing maps some non-ASCII letters to ASCII; such names stay refused.
    name = name.lower() if name.isascii() else name
    check_name(name)
    return name


def _twice(header: str) -> Unreadable:
    return Unreadable(
        "duplicate_attribute", f"The header {shown(header)} came twice; send it once."
    )
