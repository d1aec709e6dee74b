"""Keeps one service running: starts it, waits for its end, starts it again."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from busbar.cli.local.backoff import Backoff
from busbar.cli.local.logs import last_error, open_log
from busbar.cli.local.pdeathsig import tied_to_parent
from busbar.cli.local.plan import ServicePlan
from busbar.kernel.errors import CONFIGURATION_EXIT_CODE


@dataclass(frozen=True, slots=True)
class PermanentFailure:
    """A service that starting again does not help: somebody has to change something."""

    name: str
    problem: str
    fix: str


class Supervisor:
    """Runs the process of one :class:`ServicePlan` and restarts it when it ends.

    A thread of its own starts the process and waits for its exit. It lives as long as the process:
    the kernel kills the process (see ``pdeathsig``) when that thread ends, and so when this whole
    program is killed.
    """

    def __init__(
        self,
        plan: ServicePlan,
        log: Path,
        *,
        report: Callable[[str], None],
        on_failure: Callable[[PermanentFailure], None],
    ) -> None:
        """Append the process's output to ``log``; call ``report`` with every restart."""
        self.name = plan.name
        self._plan = plan
        self._log = log
        self._report = report
        self._on_failure = on_failure
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._lock = threading.RLock()  # a signal's handler may need it again
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._supervise, name=f"supervise-{plan.name}", daemon=True
        )

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        with self._lock:
            running = self._process is not None and self._process.returncode is None
            return self._process.pid if self._process is not None and running else None

    def start(self) -> None:
        """Start it and keep it running."""
        self._thread.start()

    def terminate(self) -> None:
        """Ask the process to end and start it no more; returns at once."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the process and start it no more; returns at once."""
        self._signal(signal.SIGKILL)

    def join(self, *, timeout: float) -> None:
        """Return when it is gone: after ``within`` seconds it is killed."""
        if not self._thread.ident:
            return
        self._thread.join(timeout)
        while self._thread.is_alive():
            self.kill()
            self._thread.join(1.0)

    def _signal(self, number: signal.Signals) -> None:
        self._stopping.set()
        with self._lock:
            if self._process is not None and self._process.returncode is None:
                self._process.send_signal(number)

    def _supervise(self) -> None:
        backoff = Backoff()
        while True:
            process = self._spawn()
            if process is None:
                return
            started = monotonic()
            process.wait()
            if self._stopping.is_set():
                return
            if process.returncode == CONFIGURATION_EXIT_CODE:
                self._on_failure(
                    PermanentFailure(self.name, *last_error(self._log, since=self._log_start))
                )
                return
            backoff = backoff.died(monotonic() - started)
            delay = f"in {backoff.pause:g} s" if backoff.pause else "now"
            self._report(
                f"{self.name} ended ({_exit_reason(process.returncode)}); starting again {delay}"
            )
            if self._stopping.wait(backoff.pause):
                return

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        # Under the lock: a stop either comes before and prevents it, or finds the process.
        with self._lock, open_log(self._log) as log:
            if self._stopping.is_set():
                return None
            self._log_start = log.seek(0, os.SEEK_END)
            self._process = subprocess.Popen(  # noqa: S603 - our own command, no shell
                tied_to_parent(self._plan.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A Ctrl-C in the terminal reaches the supervisor only, which stops all in order.
                start_new_session=True,
                env={**os.environ, **self._plan.environment},  # noqa: TID251 - handed on, not read
            )
            return self._process


def _exit_reason(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
