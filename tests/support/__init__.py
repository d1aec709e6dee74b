"""Helpers that all tests share."""

from dataclasses import dataclass
from typing import Protocol

from busbar.cli.local.kafka import Broker
from busbar.testing.waiting import eventually

__all__ = ["MakeTopic", "RunningKafka", "eventually"]


@dataclass(frozen=True, slots=True)
class RunningKafka:
    """The session's broker (fixture ``kafka``); a test that has to harm one starts its own."""

    bootstrap: str
    server: Broker


class MakeTopic(Protocol):
    """The fixture ``topic``: makes a topic of a new name on the session's broker."""

    async def __call__(
        self, *, partitions: int = 1, prefix: str = "", config: dict[str, str] | None = None
    ) -> str:
        """The name of the new topic."""
        ...
