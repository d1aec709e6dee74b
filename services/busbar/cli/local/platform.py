"""All processes of the platform on one machine, started, supervised and stopped together."""

import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self, TypeVar

from busbar.cli.local import home as folder
from busbar.cli.local.database import Database
from busbar.cli.local.files import state_of
from busbar.cli.local.health import HealthReport
from busbar.cli.local.kafka import Broker, NoBroker, Progress, ports, provide
from busbar.cli.local.monitor import HEALTH_SECONDS, Monitor
from busbar.cli.local.plan import ServicePlan, Wiring, plan_services
from busbar.cli.local.principals import ensure_principals
from busbar.cli.local.ready import Readiness, check_process, process_address
from busbar.cli.local.supervisor import PermanentFailure, Supervisor
from busbar.kernel.errors import BusbarError, ConfigurationError
from busbar.kernel.host_port import split_address
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.core.token import ensure_token
from busbar.runtime.core.unavailable import Unavailable

GRACE_SECONDS = 10.0
READY_TIMEOUT_SECONDS = 120.0

_POLL_SECONDS = 0.1
_RECONNECT_SECONDS = 1.0
_PORT_TIMEOUT_SECONDS = 3.0

Result = TypeVar("Result")
Report = Callable[[str], None]
StartBroker = Callable[[Path, int, Progress], Broker]
Services = Callable[[Wiring], tuple[ServicePlan, ...]]


class NotReady(BusbarError):
    """Not every service became ready in time; the error names them with reasons."""


def ignore(_text: str) -> None:
    """A report that is dropped."""


class Platform:
    """One broker and the processes of each service, kept running until :meth:`stop`.

    ``bootstrap`` names a broker that is managed elsewhere; otherwise ``start_broker`` returns one.
    ``database`` is where services keep their state, instead of a SQLite file each, and allows
    several ``instances`` of every service but the gateway. If it knows the owner's URL, its schemas
    are migrated first. ``gateway_port`` 0 picks a free port, which restarts of the gateway keep.
    ``report`` is called with a sentence for every event. A platform that was stopped cannot be
    started again.
    """

    def __init__(
        self,
        home: Path,
        *,
        gateway_port: int = 0,
        host: str = "127.0.0.1",
        bootstrap: str | None = None,
        database: Database | None = None,
        instances: int = 1,
        files: Mapping[str, Sequence[str]] | None = None,
        start_broker: StartBroker | None = None,
        services: Services = plan_services,
        report: Report = ignore,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self.home = home.absolute()
        self._gateway_port = gateway_port
        self._host = host
        self._bootstrap = bootstrap
        self._database = database
        self._instances = instances
        self._files = files
        self._start_broker = start_broker or self._provide_broker
        self._services = services
        self._report = report
        self._grace = grace
        self._lock = folder.HomeLock(self.home)
        self._broker: Broker | None = None
        self._wiring: Wiring | None = None
        self._supervisors: tuple[Supervisor, ...] = ()
        self._failure: PermanentFailure | None = None
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._was_ready = threading.Event()
        self._monitor_thread: threading.Thread | None = None
        self._state: Mapping[str, Any] = {}
        self._state_lock = threading.Lock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # -- addresses --------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The gateway's URL."""
        return self._wired.gateway_url

    @property
    def bootstrap(self) -> str:
        """The broker's address."""
        return self._wired.bootstrap

    @property
    def pids(self) -> dict[str, int | None]:
        """The process id of each process by its name; None while it is not running."""
        return {supervisor.name: supervisor.pid for supervisor in self._supervisors}

    @property
    def token_file(self) -> Path:
        """The file with the gateway's bearer token."""
        return self.home / "token"

    @property
    def _wired(self) -> Wiring:
        if self._wiring is None:
            raise BusbarError("The platform has not been started.")
        return self._wiring

    # -- starting -------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the broker and every service; :meth:`wait_ready` waits for them.

        Raises:
            ConfigurationError: something has to be changed first; nothing is left running.
        """
        folder.prepare(self.home)
        self._lock.acquire()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        self._check_instances()
        self._check_gateway_port()
        ensure_token(self.token_file)
        created = ensure_principals(self.home)
        if created is not None:
            self._report(f"created an administrator, whose key is {created}")
        for left_over in (self.home / "run").glob("*.json"):
            left_over.unlink()
        self._migrate()
        self._broker = self._start_broker(self.home, self._previous_port(), self._report_broker)
        gateway_port, audit_port, policy_port = ports.choose(3)
        self._wiring = Wiring(
            home=self.home,
            bootstrap=self._broker.bootstrap,
            host=self._host,
            gateway_port=self._gateway_port or gateway_port,
            audit_port=audit_port,
            policy_port=policy_port,
            database_url=self._database.url if self._database is not None else None,
            instances=self._instances,
        )
        self._supervisors = tuple(
            Supervisor(
                plan,
                self.home / "logs" / f"{plan.name}.log",
                report=self._report,
                on_failure=self._on_failure,
                keeps_trying=self._was_ready.is_set,
            )
            for plan in self._services(self._wiring)
        )
        for supervisor in self._supervisors:
            supervisor.start()
        monitor = Monitor(
            self._broker,
            stopping=self._stopping,
            update_state=self._update_state,
            readiness=self._readiness_once_ready,
            report=self._report,
        )
        self._monitor_thread = threading.Thread(
            target=monitor.run, name="monitor-platform", daemon=True
        )
        self._monitor_thread.start()

    def _check_instances(self) -> None:
        if self._instances > 1 and self._database is None:
            raise ConfigurationError(
                f"{self._instances} instances of a service cannot share one SQLite file.",
                fix="Set BUSBAR_DATABASE_URL to a PostgreSQL database, or use --instances 1.",
            )

    def _migrate(self) -> None:
        database = self._database
        if database is not None and database.owner_url is not None:
            self._until_reachable(database.migrate)
            self._report("the database schemas are up to date")

    def _until_reachable(self, step: Callable[[], Result]) -> Result:
        """Return the result of ``step``, retried while the database or the broker is unreachable.

        Raises:
            BusbarError: the platform is being stopped.
        """
        since, said = SystemClock().now(), ""
        while True:
            try:
                return step()
            except (Unavailable, NoBroker) as error:
                if str(error) != said:
                    said = str(error)
                    self._report(f"waiting since {since:%H:%M:%S} UTC: {said}")
                if self._stopping.wait(_RECONNECT_SECONDS):
                    raise

    def _check_gateway_port(self) -> None:
        if not self._gateway_port:
            return
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self._host, self._gateway_port))
            except OSError as error:
                raise ConfigurationError(
                    f"The gateway cannot listen on {self._host}:{self._gateway_port}:"
                    f" {(error.strerror or 'the port is in use').lower()}.",
                    fix="Stop the program that uses it, or choose another: --gateway-port.",
                ) from error

    def _provide_broker(self, home: Path, port: int, progress: Progress) -> Broker:
        return self._until_reachable(
            lambda: provide(home, bootstrap=self._bootstrap, port=port, on_progress=progress)
        )

    def _previous_port(self) -> int:
        """Return the broker's previous port, so that clients find it again; 0 if it is taken."""
        try:
            port = split_address(str(folder.read_state(self.home).get("bootstrap", "")))[1]
        except ValueError:
            return 0
        deadline = monotonic() + _PORT_TIMEOUT_SECONDS
        # A broker whose supervisor has just been killed takes a while to end.
        while not ports.is_free(port):
            if monotonic() > deadline:
                return 0
            self._stopping.wait(_POLL_SECONDS)
        return port

    def _report_broker(self, text: str, seconds: float) -> None:
        self._report(f"{text} ({seconds:.0f} s)" if seconds >= 1 else text)

    # -- while it runs --------------------------------------------------------------------------

    def readiness(self) -> dict[str, Readiness]:
        """Return the readiness of each process."""
        return {
            supervisor.name: check_process(self.home, supervisor.name, pid=supervisor.pid)
            for supervisor in self._supervisors
        }

    def _readiness_once_ready(self) -> dict[str, Readiness]:
        """Return the readiness of each process; nothing while the platform starts."""
        return self.readiness() if self._was_ready.is_set() else {}

    def wait_ready(
        self, progress: Report = ignore, *, timeout: float = READY_TIMEOUT_SECONDS
    ) -> None:
        """Return when every service is ready; call ``progress`` for each, and for each problem.

        Raises:
            ConfigurationError: a service cannot run.
            NotReady: one was not ready after ``timeout`` seconds, although database and broker
                could be reached.
        """
        deadline = monotonic() + timeout
        reported: set[str] = set()
        health, look_at = HealthReport(), monotonic() + HEALTH_SECONDS
        while not self._stopping.is_set():
            self.check()
            found = self.readiness()
            if any(how.waits_for_peer for how in found.values()):
                deadline = monotonic() + timeout
            if monotonic() >= look_at:
                for sentence in health.changes(found):
                    progress(sentence)
                look_at = monotonic() + HEALTH_SECONDS
            for name in sorted(name for name, how in found.items() if how.ready):
                if name not in reported:
                    progress(f"{name} is ready")
                    reported.add(name)
            waiting = {name: how.problem for name, how in found.items() if not how.ready}
            if not waiting:
                self._update_state()
                self._was_ready.set()
                return
            if monotonic() > deadline:
                problems = "; ".join(f"{name}: {why}" for name, why in waiting.items())
                raise NotReady(
                    f"Not ready after {timeout:g} seconds: {problems}. See {self.home / 'logs'}."
                )
            self._changed.wait(_POLL_SECONDS)

    def wait(self) -> None:
        """Return when the platform was stopped (by another thread).

        Raises:
            ConfigurationError: a service cannot run until something is changed.
        """
        while not self._stopping.is_set():
            self._changed.wait()
            self._changed.clear()
            self.check()

    def check(self) -> None:
        """Return if no service has failed permanently.

        Raises:
            ConfigurationError: one has; the error is its last one.
        """
        failure = self._failure
        if failure is not None:
            raise ConfigurationError(
                f"The service {failure.name} cannot run: {failure.problem}",
                fix=failure.fix or f"See {self.home / 'logs' / failure.name}.log.",
            )

    def _on_failure(self, failure: PermanentFailure) -> None:
        self._failure = self._failure or failure
        self._changed.set()

    def _broker_pid(self) -> int | None:
        return self._broker.pid if self._broker is not None else None

    def _update_state(self) -> None:
        with self._state_lock:
            services: dict[str, Any] = {}
            for name, pid in self.pids.items():
                address = process_address(self.home, name, pid=pid)
                services[name] = {"pid": pid, "port": address.port if address else None}
            self._save_state(os.getpid(), services)

    def _save_state(self, pid: int | None, services: Mapping[str, Any]) -> None:
        state = {
            "pid": pid,
            "bootstrap": self._wired.bootstrap,
            "kafka_pid": self._broker_pid() if pid else None,
            "gateway_url": self._wired.gateway_url,
            "services": services,
            **state_of(self._files),
        }
        if state != self._state:
            folder.write_state(self.home, state)
            self._state = state

    # -- stopping -------------------------------------------------------------------------------

    def kill(self) -> None:
        """Kill the services that still run, without waiting for them."""
        for supervisor in self._supervisors:
            supervisor.kill()

    def stop(self) -> None:
        """Stop every service, giving each 10 seconds, and then the broker."""
        self._stopping.set()
        self._changed.set()
        for supervisor in self._supervisors:
            supervisor.terminate()
        deadline = monotonic() + self._grace
        for supervisor in self._supervisors:
            supervisor.join(timeout=max(0.0, deadline - monotonic()))
        if self._monitor_thread is not None:
            # It may be starting the broker, which ends with this process at the latest.
            self._monitor_thread.join(self._grace)
        if self._broker is not None:
            self._broker.stop()
        if self._wiring is not None:
            with suppress(OSError):
                self._save_state(None, {})
        self._lock.release()
