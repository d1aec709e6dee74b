"""A supervisor that starts one process of a service and restarts it when it ends."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from busbar.cli.local.backoff import RestartBackoff
from busbar.cli.local.logs import last_error, open_log
from busbar.cli.local.pdeathsig import tied_to_parent
from busbar.cli.local.plan import ServicePlan
from busbar.kernel.errors import CONFIGURATION_EXIT_CODE

_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class PermanentFailure:
    """A service that cannot run until something is changed: restarting does not help."""

    name: str
    problem: str
    fix: str


class Supervisor:
    """Runs the process of one :class:`ServicePlan` and restarts it when it ends.

    The process's output is appended to ``log``. ``report`` is called with a sentence for every
    restart, ``on_failure`` if restarting does not help. Where ``keeps_trying`` returns True, the
    process is restarted all the same: what it ran with before may come back.

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
        keeps_trying: Callable[[], bool] = lambda: False,
    ) -> None:
        self.name = plan.name
        self._plan = plan
        self._log = log
        self._report = report
        self._on_failure = on_failure
        self._keeps_trying = keeps_trying
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._lock = threading.RLock()  # reentrant: a signal handler may interrupt its holder
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._supervise, name=f"supervise-{plan.name}", daemon=True
        )

    @property
    def pid(self) -> int | None:
        """The id of the process that runs now, or None."""
        with self._lock:
            running = self._process is not None and self._process.returncode is None
            return self._process.pid if self._process is not None and running else None

    def start(self) -> None:
        """Start the process and keep it running."""
        self._thread.start()

    def terminate(self) -> None:
        """Send SIGTERM and stop restarting; returns immediately."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL and stop restarting; returns immediately."""
        self._signal(signal.SIGKILL)

    def join(self, *, timeout: float) -> None:
        """Return when the process has ended; it is killed after ``timeout`` seconds."""
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
        backoff = RestartBackoff()
        while True:
            try:
                process = self._spawn()
            except OSError as error:  # such as a full disk: try again, however long it lasts
                backoff = backoff.after_exit(0.0)
                self._report(f"{self.name} cannot be started: {error.strerror}; trying again")
                if self._stopping.wait(max(backoff.delay, _RETRY_SECONDS)):
                    return
                continue
            if process is None:
                return
            started = monotonic()
            process.wait()
            if self._stopping.is_set():
                return
            reason = f"ended ({_exit_reason(process.returncode)})"
            if process.returncode == CONFIGURATION_EXIT_CODE:
                failure = PermanentFailure(self.name, *last_error(self._log, since=self._log_start))
                if not self._keeps_trying():
                    self._on_failure(failure)
                    return
                reason = f"cannot run: {failure.problem} {failure.fix}"
            backoff = backoff.after_exit(monotonic() - started)
            delay = f"in {backoff.delay:g} s" if backoff.delay else "now"
            self._report(f"{self.name} {reason}; restarting {delay}")
            if self._stopping.wait(backoff.delay):
                return

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        # Under the lock: a stop either comes first and prevents the start, or finds the process.
        with self._lock, open_log(self._log) as log:
            if self._stopping.is_set():
                return None
            self._log_start = log.seek(0, os.SEEK_END)
            self._process = subprocess.Popen(  # noqa: S603 - our own command, no shell
                tied_to_parent(self._plan.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A Ctrl-C in the terminal reaches only this program, which stops all in order.
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
