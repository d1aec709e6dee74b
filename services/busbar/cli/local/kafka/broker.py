"""What every way of getting a Kafka broker offers, and a broker that is somebody else's."""

from collections.abc import Callable
from typing import Protocol

Progress = Callable[[str, float], None]
"""Told what is being waited for and for how many seconds; called at least every two seconds."""


def quiet(_text: str, _seconds: float) -> None:
    """A :data:`Progress` that says nothing."""


class Broker(Protocol):
    """A broker that can be started and stopped."""

    @property
    def bootstrap(self) -> str:
        """``host:port``, comma-separated; known once it was started."""
        ...

    @property
    def pid(self) -> int | None:
        """The broker's process, or None: not running, or not a process of this machine."""
        ...

    def start(self) -> None:
        """Return when the broker answers.

        Raises:
            ConfigurationError: it cannot run here; the sentence says why.
        """
        ...

    def stop(self) -> None:
        """Return when the broker is gone. Stopping twice is fine."""
        ...


class ExternalBroker:
    """Servers that somebody else runs: never started or stopped by us."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.pid: int | None = None

    def start(self) -> None:
        """Nothing to do: it runs, or somebody else must start it."""

    def stop(self) -> None:
        """Nothing to do: it is not ours."""
