"""A clause of a specification, an example of it, and what becomes of the example."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from busbar.messages.envelope import CODES, Envelope, Unreadable


@dataclass(frozen=True, slots=True)
class Clause:
    """``text`` quotes or sums up the clause at ``section``; ``example`` is one message.

    It is read with these attributes and data, or ``refused`` with this code. ``limit`` says why a
    message that the specification allows is refused.
    """

    section: str
    text: str
    example: Any
    read: Mapping[str, Any] = field(default_factory=dict)
    refused: str | None = None
    limit: str = ""

    def __str__(self) -> str:
        return f"{self.section} {self.text}"


def check(clause: Clause, read: Envelope | Unreadable) -> None:
    """Fail unless the example was ``read`` as the clause says."""
    if clause.refused is not None:
        assert clause.refused in CODES
        assert isinstance(read, Unreadable), read
        assert read.code == clause.refused, read
        return
    assert isinstance(read, Envelope), read
    for name, value in clause.read.items():
        found = read.extensions[name] if name in read.extensions else getattr(read, name)
        assert found == value, name
