"""Concurrency slots: how many tasks of a kind a process works on, and what each one holds."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from busbar.runtime.store import Claim


@dataclass(slots=True)
class Lease:
    """The lease of a running task, and when it ends unless it is extended."""

    claim: Claim
    ends: datetime


class Slots:
    """The slots of one runner: occupied by running tasks, reserved for claims, or free."""

    def __init__(self, size: int, *, on_free: Callable[[], None]) -> None:
        """Make ``size`` slots; ``on_free`` is called when due tasks can be claimed again."""
        self._size = size
        self._on_free = on_free
        self._reserved = 0
        self.running: dict[asyncio.Task[None], Lease] = {}
        self.short = False
        """Whether there may be due tasks for which there was no slot."""
        self.occupied = asyncio.Event()
        """Set while tasks are running."""

    @property
    def free(self) -> int:
        """Slots that are neither occupied nor reserved."""
        return self._size - len(self.running) - self._reserved

    @property
    def claimable(self) -> int:
        """Slots to claim for: a quarter of all at least, as a claim per slot is expensive."""
        free = self.free
        return free if free >= self._size // 4 else 0

    def reserve(self, wanted: int) -> int:
        """Reserve up to ``wanted`` slots for claims; return how many."""
        granted = max(0, min(wanted, self.free))
        self._reserved += granted
        self.short = self.short or granted < wanted
        return granted

    def release(self, count: int = 1) -> None:
        """Give back ``count`` reserved slots."""
        self._reserved -= count

    def occupy(self, task: asyncio.Task[None], lease: Lease) -> None:
        """Occupy a slot with ``task`` until it is done."""
        self.running[task] = lease
        task.add_done_callback(self._vacate)
        self.occupied.set()

    def _vacate(self, task: asyncio.Task[None]) -> None:
        self.running.pop(task)
        if self.short and self.claimable:
            self._on_free()
