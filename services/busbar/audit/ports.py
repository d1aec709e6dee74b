"""What audit needs from outside: the bus as it is now, to compare its copy with."""

from collections.abc import AsyncIterator
from typing import Protocol

from busbar.audit.domain import Place


class Log(Protocol):
    """The bus, read from its beginning to where it ends now."""

    def places(self) -> AsyncIterator[tuple[Place, str]]:
        """Every record's place and the SHA-256 of its value."""
        ...
