"""Media types, as in ``Application/JSON; charset="utf-8"``.

https://www.rfc-editor.org/rfc/rfc9110#section-8.3.1, which is what RFC 2046 allows, and empty
parameters besides. Which of them declare JSON:
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md, section 3.1.1.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_NAME = re.compile(f"({_WORD}/{_WORD})[ \t]*")
_PARAMETER = re.compile(
    f";[ \t]*(?:(?P<name>{_WORD})="
    rf'(?:(?P<token>{_WORD})|"(?P<quoted>(?:[^"\\]|\\.)*+)"))?[ \t]*',
    re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_READ_AS_UTF_8 = frozenset({"utf-8", "us-ascii"})


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type in its normal form: equal ones mean the same.

    The ``name`` and the names of parameters are in lower case, and so is the value of ``charset``.
    """

    name: str
    parameters: Mapping[str, str]

    @property
    def is_json(self) -> bool:
        """True if the subtype is ``json`` or ends in ``+json``."""
        subtype = self.name.partition("/")[2]
        return subtype == "json" or subtype.endswith("+json")

    @property
    def is_utf_8(self) -> bool:
        """True unless the parameter ``charset`` says otherwise; ASCII is a part of UTF-8."""
        return self.parameters.get("charset", "utf-8") in _READ_AS_UTF_8


@lru_cache(maxsize=256)
def parse(text: str) -> MediaType | None:
    """Return the media type that ``text`` is, or None if it is not one."""
    start = _NAME.match(text)
    if start is None:
        return None
    parameters: dict[str, str] = {}
    at = start.end()
    while at < len(text):
        found = _PARAMETER.match(text, at)
        if found is None:
            return None
        at = found.end()
        if found["name"] is None:
            continue
        name = found["name"].lower()
        if name in parameters:
            return None
        value = found["token"] or _ESCAPED.sub(r"\1", found["quoted"] or "")
        parameters[name] = value.lower() if name == "charset" else value
    return MediaType(start[1].lower(), parameters)
