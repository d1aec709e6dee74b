"""The HTTP protocol binding.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

import re
from collections.abc import Sequence
from urllib.parse import unquote

from busbar.messages.codec import content
from busbar.messages.codec.json import shown
from busbar.messages.codec.structured import CONTENT_TYPE
from busbar.messages.codec.structured import write as structured
from busbar.messages.envelope import Envelope, Unreadable

__all__ = ["CONTENT_TYPE", "read", "structured"]

# Matches to the end if there is no closing quote, so that no text is scanned twice.
_QUOTED = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*+)(?:(?P<closed>")|\\?\Z)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_HALF_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def read(headers: Sequence[tuple[str, str]], body: bytes) -> Envelope:
    """Return the event in a message of either mode; an empty binary body means no data.

    Raises:
        Unreadable: the message is not a valid CloudEvent; no other error is raised.
    """
    return content.read(headers, body or None, binding=_BINDING)


def _plain(_header: str, value: str) -> str:
    return value


def _decode(header: str, value: str) -> str:
    """Return ``value`` unquoted, then percent-decoded once (section 3.1.3.2)."""
    value = value.strip(" \t")
    if not value.isascii():
        raise _bad(header, "has characters outside ASCII; percent-encode them")
    if '"' in value:
        value = _QUOTED.sub(lambda quoted: _unquoted(header, quoted), value)
    if "%" not in value:
        return value
    if _HALF_ESCAPE.search(value):
        raise _bad(header, 'has a "%" without two hexadecimal digits; write it as "%25"')
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError as error:
        raise _bad(header, "is not UTF-8 after percent-decoding; encode UTF-8 bytes") from error


def _unquoted(header: str, quoted: re.Match[str]) -> str:
    if not quoted["closed"]:
        raise _bad(header, 'has an unpaired double quote; write it as "%22"')
    return _ESCAPED.sub(r"\1", quoted["text"])


def _bad(header: str, why: str) -> Unreadable:
    return Unreadable("bad_attribute", f"The header {shown(header)} {why}.")


_BINDING: content.Binding[str] = content.Binding(
    names=content.Names("ce-"), plain=_plain, decode=_decode
)
