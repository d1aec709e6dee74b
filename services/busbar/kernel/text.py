"""Text in messages for people."""

from typing import Final

MAX_SHOWN: Final = 80
"""Characters of a value that a message repeats, unless it sets another limit."""


def truncate(text: str, limit: int = MAX_SHOWN) -> str:
    """Return ``text`` in at most ``limit`` characters; an ellipsis replaces what is left out."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def counted(number: float, one: str, many: str | None = None) -> str:
    """Return ``number`` with the noun for ``one`` or for ``many`` (``one`` and an s)."""
    return f"{number:,.0f} {one if number == 1 else many or f'{one}s'}"
