"""The interface of a Kafka broker, and a broker that is managed elsewhere."""

from collections.abc import Callable
from typing import Protocol

Progress = Callable[[str, float], None]
"""Called with what is being waited for and the seconds so far, at least every two seconds."""


def quiet(_text: str, _seconds: float) -> None:
    """A :data:`Progress` that says nothing."""


class Broker(Protocol):
    """A broker that can be started and stopped."""

    @property
    def bootstrap(self) -> str:
        """``host:port``, comma-separated; known once the broker was started."""
        ...

    @property
    def pid(self) -> int | None:
        """The broker's process id; None if it does not run, or not as a process of this machine."""
        ...

    def start(self) -> None:
        """Start the broker and return when it answers.

        Raises:
            ConfigurationError: it cannot run here; the error says why.
        """
        ...

    def stop(self) -> None:
        """Stop the broker and return when it has ended. Stopping twice is fine."""
        ...


class ExternalBroker:
    """Brokers that are managed elsewhere: never started or stopped here."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.pid: int | None = None

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""
