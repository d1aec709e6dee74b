"""The reachability of peers such as the database or a broker, and since when one is missing."""

from datetime import datetime

from busbar.kernel.clock import Clock
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()


class Reachability:
    """The reachability of one peer; changes are logged once."""

    def __init__(self, peer: str, clock: Clock) -> None:
        """Describe ``peer``, such as "the database", which counts as reachable at first."""
        self._peer = peer
        self._clock = clock
        self._since: datetime | None = None
        self._reason = ""

    @property
    def reachable(self) -> bool:
        """True if the peer answered last."""
        return self._since is None

    @property
    def problem(self) -> str | None:
        """Since when the peer is unreachable and why, as a phrase; None while it is reachable."""
        if self._since is None:
            return None
        return f"{self._peer} is unreachable since {self._since:%H:%M:%S} UTC ({self._reason})"

    def failed(self, reason: str) -> None:
        """Note that the peer does not answer, for ``reason``."""
        if self._since is None:
            self._since = self._clock.now()
            log.warning("peer_unreachable", peer=self._peer, reason=reason)
        self._reason = reason

    def answered(self) -> None:
        """Note that the peer answers."""
        if self._since is not None:
            seconds = (self._clock.now() - self._since).total_seconds()
            log.info("peer_answers_again", peer=self._peer, unreachable_seconds=round(seconds, 1))
        self._since = None
