"""URI references: https://www.rfc-editor.org/rfc/rfc3986, sections 4.1 and 4.3 (appendix A)."""

import re
from functools import lru_cache

_PLAIN = r"A-Za-z0-9._~!$&'()*+,;=\-"
_ENCODED = "%[0-9A-Fa-f]{2}"
_USER = rf"(?:(?:[{_PLAIN}:]|{_ENCODED})*@)?"
_HOST = rf"(?:\[(?:[0-9A-Fa-f:.]+|[vV][0-9A-Fa-f]+\.[{_PLAIN}:]+)\]|(?:[{_PLAIN}]|{_ENCODED})*+)"
_AUTHORITY = f"//{_USER}{_HOST}(?::[0-9]*+)?(?=[/?#]|$)"
_PATH = rf"(?:[{_PLAIN}:@/]|{_ENCODED})*+"
_MORE = rf"(?:[{_PLAIN}:@/?]|{_ENCODED})*+"
_REFERENCE = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*+):|(?![^/?#]*:))"
    rf"(?:{_AUTHORITY}|(?!//)){_PATH}(?:\?{_MORE})?(?:#{_MORE})?"
)


@lru_cache(maxsize=1024)  # producers have few sources, and attributes are short
def is_reference(text: str) -> bool:
    """Return whether ``text`` is a URI reference, absolute or relative."""
    return _REFERENCE.fullmatch(text) is not None


@lru_cache(maxsize=256)
def is_absolute(text: str) -> bool:
    """Return whether ``text`` is a URI, which has a scheme; a fragment is allowed."""
    found = _REFERENCE.fullmatch(text)
    return found is not None and found["scheme"] is not None
