"""Counts what a store reads of its log."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from busbar.runtime.store.parts.log import EventLog


@dataclass(slots=True)
class Reads:
    """The pages that were read from the log of events, and the events in them."""

    pages: int = 0
    events: int = 0
    largest: int = 0


@contextmanager
def counting(patch: pytest.MonkeyPatch) -> Iterator[Reads]:
    """Count what every store of this process reads from its log during the block."""
    reads = Reads()
    with patch.context() as context:
        for name in ("page", "stream"):
            context.setattr(EventLog, name, _counted(getattr(EventLog, name), reads))
        yield reads


def _counted(read: Any, reads: Reads) -> Any:
    async def counted(self: EventLog, *arguments: Any, **criteria: Any) -> Any:
        found = await read(self, *arguments, **criteria)
        reads.pages += 1
        reads.events += len(found)
        reads.largest = max(reads.largest, len(found))
        return found

    return counted
