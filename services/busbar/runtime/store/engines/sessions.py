"""The sessions of one pool of PostgreSQL connections, and the check that the server has them.

A connection whose other end is gone can look healthy for hours: after a failover, behind a firewall
that dropped its entry, or if the machine of the server lost power. Its statements would wait
without an end. So a connection of its own asks the server every second which sessions there are,
and those that are not among them are closed, which fails their statements immediately.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any
from weakref import WeakKeyDictionary

from busbar.kernel.clock import Clock
from busbar.kernel.errors import ConfigurationError
from busbar.runtime.store.model.errors import StoreUnavailable
from busbar.runtime.store.sql.asyncpg_session import ERRORS, busy_since, reason_of
from busbar.runtime.store.store import ANSWER_SECONDS
from busbar.runtime.telemetry.logs import get_logger
from busbar.runtime.telemetry.reachability import Reachability

log = get_logger()

CUT_SECONDS = 5.0
"""Time without an answer after which every connection is closed: what waits fails and is retried.

Longer than :data:`ANSWER_SECONDS`, as an overloaded server would get slower by reconnecting.
"""

INTERVAL_SECONDS = 1.0
RETRY_SECONDS = 0.5

_SESSIONS = (
    "SELECT pid, state = 'idle' AND state_change < clock_timestamp() - make_interval(secs => $2)"
    " FROM pg_stat_activity"
    " WHERE datname = current_database() AND usename = current_user AND application_name = $1"
)
Connect = Callable[[], Awaitable[Any]]


class Sessions:
    """The open connections of one pool, and when each was opened."""

    def __init__(self) -> None:
        self._opened: WeakKeyDictionary[Any, float] = WeakKeyDictionary()

    def opened(self, driver: Any) -> None:
        """Add the connection ``driver``."""
        self._opened[driver] = time.monotonic()

    def close_all(self) -> int:
        """Close every connection immediately; return how many there were."""
        return _close([driver for driver in list(self._opened) if not driver.is_closed()])

    def close_missing(self, found: Collection[tuple[int, bool]], *, asked: float) -> int:
        """Close connections that the server does not have; return how many.

        ``found`` are the server's sessions at the time ``asked``: the process of each, and whether
        it has been idle for :data:`CUT_SECONDS`. A session that is idle there while a transaction
        runs here has missed a message.
        """
        idle = dict(found)
        missing = []
        for driver, opened in list(self._opened.items()):
            if driver.is_closed() or opened >= asked:
                continue
            pid = driver.get_server_pid()
            since = busy_since(driver)
            waits = since is not None and asked - since > CUT_SECONDS
            if pid not in idle or (idle[pid] and waits):
                missing.append(driver)
        return _close(missing)


def _close(drivers: Collection[Any]) -> int:
    for driver in drivers:
        driver.terminate()
    return len(drivers)


class SessionWatch:
    """Asks the database every second whether it is there and which sessions it has."""

    def __init__(
        self,
        connect: Connect,
        *,
        name: str,
        sessions: Sessions,
        reachability: Reachability,
        clock: Clock,
    ) -> None:
        """Watch ``sessions``, whose application name is ``name``.

        ``connect`` opens the connection to ask on; the results go to ``reachability``.
        """
        self._connect = connect
        self._name = name
        self._sessions = sessions
        self._reachability = reachability
        self._clock = clock
        self._driver: Any = None
        self._sees_pids = False
        self._silent_since: float | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            while True:
                await self._clock.sleep(await self._look())
        finally:
            self._drop()

    async def _look(self) -> float:
        """Ask once; return the seconds until the next time."""
        asked = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await self._ask()
        except (StoreUnavailable, ConfigurationError, *ERRORS) as error:
            self._drop()
            is_first = self._silent_since is None
            self._silent(asked, error)
            return 0.0 if is_first else RETRY_SECONDS  # only this connection may be gone
        self._silent_since = None
        self._reachability.answered()
        if self._sees_pids and (closed := self._sessions.close_missing(found, asked=asked)):
            log.warning("dead_sessions_closed", sessions=closed)
        return INTERVAL_SECONDS

    async def _ask(self) -> list[tuple[int, bool]]:
        if self._driver is None:
            self._driver = await self._connect()
            own = await self._driver.fetchval("SELECT pg_backend_pid()")
            # A connection pooler gives out process ids of its own.
            self._sees_pids = own == self._driver.get_server_pid()
        return [tuple(row) for row in await self._driver.fetch(_SESSIONS, self._name, CUT_SECONDS)]

    def _silent(self, asked: float, error: BaseException) -> None:
        is_refused = isinstance(error, ConfigurationError)
        self._reachability.failed(str(error) if is_refused else reason_of(error))
        self._silent_since = self._silent_since or asked
        if time.monotonic() - self._silent_since >= CUT_SECONDS:
            self._sessions.close_all()

    def _drop(self) -> None:
        if self._driver is not None:
            self._driver.terminate()
            self._driver = None
