"""Cursors of lists that have more than the reader may see.

A position counts every event, so that the cursors of one team would show how much the others do.
A sealed cursor is encrypted, and looks different each time; only the principal that it was given
to can use it.
"""

import base64
import binascii
from dataclasses import dataclass, field
from typing import Final, Protocol

from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.cipher import Cipher

_DIGITS: Final = 18  # fits the 64 bits of a position
_MAX_CHARS: Final = 100


class Cursors(Protocol):
    """Writes positions for a client, and reads them."""

    def write(self, position: int) -> int | str:
        """Return the cursor for ``position``."""
        ...

    def read(self, text: str) -> int | None:
        """Return the position in ``text``, or None if it is not a cursor."""
        ...


@dataclass(frozen=True, slots=True)
class PlainCursors:
    """The positions themselves, for principals that may read everything."""

    def write(self, position: int) -> int:
        """Return ``position``."""
        return position

    def read(self, text: str) -> int | None:
        """Return the number in ``text``, or None if there is none."""
        is_number = text.isascii() and text.isdecimal() and len(text) <= _DIGITS
        return int(text) if is_number else None


@dataclass(frozen=True, slots=True)
class SealedCursors:
    """Encrypted positions, each for the principal ``reader`` alone; 0 is the beginning."""

    reader: str
    cipher: Cipher = field(repr=False)

    def write(self, position: int) -> str:
        """Return ``position``, encrypted; its length shows nothing either."""
        sealed = self.cipher.encrypt(f"{position:0{_DIGITS}}".encode(), context=self._context)
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def read(self, text: str) -> int | None:
        """Return the position in ``text``, or None if it was not written for this reader."""
        if text == "0":
            return 0
        if len(text) > _MAX_CHARS or not text.isascii():
            return None
        try:
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            return int(self.cipher.decrypt(sealed, context=self._context))
        except (binascii.Error, ConfigurationError):
            return None

    @property
    def _context(self) -> str:
        return f"cursor/{self.reader}"
