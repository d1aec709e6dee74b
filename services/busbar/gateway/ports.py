"""What the gateway needs from outside: audit's answers, passed on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, as it came."""

    status: int
    content_type: str
    body: bytes


class AuditReader(Protocol):
    """Reads from the audit service."""

    async def get(self, path: str, query: Mapping[str, str]) -> Answer:
        """The answer to a GET.

        Raises:
            AuditUnavailable: it cannot be reached.
        """
        ...


class AuditUnavailable(Exception):
    """The audit service cannot be reached; what it says is worth repeating later."""
