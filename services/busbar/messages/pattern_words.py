"""The patterns of fields in words: people do not read regular expressions."""

import re
from collections.abc import Mapping
from typing import Final

from busbar.kernel.resource import SLUG
from busbar.kernel.suggest import listed

_NAME: Final = (
    "be 1 to 63 lower-case letters, digits and hyphens, without a hyphen at either end, as orders-2"
)
_WORDS: Final[Mapping[str, str]] = {
    f"^{SLUG}$": _NAME,
    f"^{SLUG}(/{SLUG}){{3}}$": "be team/environment/promise/name",
    r"^v[1-9][0-9]*$": "be a version, as v1",
    r"^v[1-9][0-9]{0,5}$": "be a version, as v1",
    r"^[a-z][a-z0-9_]*$": "be lower-case letters, digits and underscores, as topic_name",
    r"^sha256:[0-9a-f]{64}$": "be sha256: and 64 hexadecimal digits",
    r"^busbar\.[a-z0-9*.-]+$": "be a type of facts, as busbar.resource.provisioned.v1 or"
    " busbar.resource.*",
    r"^secret:[a-z0-9][a-z0-9-]{0,62}$": "be secret: and the name of a secret, which has at most 63"
    " lower-case letters, digits and hyphens",
    r"^[0-9a-f]{32}$": "be the id of a key, as `busbar keys list` shows it",
    r"^[A-Za-z0-9_-]{43}$": "be a public key: 43 characters of base64url without padding",
    r"^[Hh][Tt][Tt][Pp][Ss]?://": "begin with http:// or https://",
}
_CHOICE: Final = re.compile(r"\^\((?P<words>[A-Za-z]+(?:\|[A-Za-z]+)*)\)\$")


def pattern_words(pattern: str) -> str:
    """Return what a text that matches ``pattern`` must do, as ``be a version, as v1``."""
    if choice := _CHOICE.fullmatch(pattern):
        return f"be one of {listed(choice['words'].split('|'))}"
    return _WORDS.get(pattern, f"match {pattern}")
