"""Sealed personal values in a JSON tree.

A sealed value is an object with one member, ``{"$personal": "v1.<subject>.<ciphertext>"}``. The
subject is a pseudonym of the person, 32 hexadecimal digits; the ciphertext is base64url without
padding. Once the subject is erased, nothing can open it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

SEALED: Final = "$personal"
"""The only member of a sealed value."""

ERASED: Final = "$erased"
"""The only member of what is shown for a value whose subject was erased: the pseudonym."""

MASK: Final = "[personal]"
"""Stands for a personal value in messages."""

_TEXT = re.compile(r"v1\.(?P<subject>[0-9a-f]{32})\.(?P<ciphertext>[A-Za-z0-9_-]{22,})")
_PSEUDONYM = re.compile(r"subject:[0-9a-f]{32}")


def sealed_text(value: Any) -> str | None:
    """Return the text of a sealed value, or None if ``value`` is not one."""
    if not isinstance(value, dict) or value.keys() != {SEALED}:
        return None
    text = value[SEALED]
    return text if isinstance(text, str) and _TEXT.fullmatch(text) else None


def parts_of(text: str) -> tuple[str, str]:
    """Return subject and ciphertext of a sealed value's text.

    Raises:
        ValueError: it is not such a text.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError("not the text of a sealed value")
    return match["subject"], match["ciphertext"]


def is_pseudonym(text: str) -> bool:
    """Return whether ``text`` is the pseudonym of a subject, as ``subject:<32 digits>``."""
    return _PSEUDONYM.fullmatch(text) is not None


def sealed_in(tree: Any) -> Iterator[str]:
    """Yield the text of every sealed value in ``tree``."""
    waiting = [tree]
    while waiting:
        value = waiting.pop()
        if (text := sealed_text(value)) is not None:
            yield text
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value


def replaced(tree: Any, values: Mapping[str, Any], otherwise: Any = None) -> Any:
    """Return ``tree`` with each sealed value replaced by that of ``values`` under its text.

    One that is not in ``values`` becomes ``otherwise``. Without any, ``tree`` itself is returned.
    """
    if next(sealed_in(tree), None) is None:
        return tree
    return _replaced(tree, values, otherwise)


def _replaced(tree: Any, values: Mapping[str, Any], otherwise: Any) -> Any:
    if (text := sealed_text(tree)) is not None:
        return values.get(text, otherwise)
    if isinstance(tree, dict):
        return {name: _replaced(value, values, otherwise) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_replaced(value, values, otherwise) for value in tree]
    return tree


_SHORT: Final = 3
"""Shorter values are not looked for within texts: they are in almost every one."""


def hidden(tree: Any, values: Mapping[str, str]) -> Any:
    """Return ``tree`` without the personal ``values``, which are given with their sealed texts.

    A string that is one becomes the sealed value; in a longer one it becomes :data:`MASK`.
    """
    if isinstance(tree, str):
        if tree in values:
            return {SEALED: values[tree]}
        for value in sorted(values, key=len, reverse=True):
            if len(value) >= _SHORT:
                tree = tree.replace(value, MASK)
        return tree
    if isinstance(tree, dict):
        return {hidden_name(name, values): hidden(value, values) for name, value in tree.items()}
    return [hidden(value, values) for value in tree] if isinstance(tree, list | tuple) else tree


def hidden_name(name: str, values: Mapping[str, str]) -> str:
    """Return the name of a member without the personal ``values``."""
    found = hidden(name, values)
    return found if isinstance(found, str) else MASK


def without_text(value: Any) -> Any:
    """Return what stands for a personal ``value`` that is not text: no part of it, and no text.

    It does not fit where text is asked for, so that what was invalid stays so. It stands for itself
    as well, since several services may do this.
    """
    return None if value is None else [MASK]


def masked(tree: Any) -> Any:
    """Return ``tree`` with :data:`MASK` for each sealed value, for messages."""
    return replaced(tree, {}, MASK)
