"""A single-node Kafka broker (KRaft) as a child process, from the official jars."""

import base64
import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from busbar.cli.local.kafka import cluster, config, failures, ports
from busbar.cli.local.kafka.broker import Progress, quiet
from busbar.cli.local.kafka.jvm import ChildProcess, ClassArchive
from busbar.cli.local.kafka.probe import Tool
from busbar.kernel.errors import BusbarError, ConfigurationError
from busbar.runtime.core.locks import is_record_locked

_POLL_SECONDS = 0.05
_REPORT_SECONDS = 1.0
_ANSWER_TIMEOUT_SECONDS = 1.0
_LOCK_TIMEOUT_SECONDS = 3.0
_STOP_TIMEOUT_SECONDS = 10.0
_FORMAT_TIMEOUT_SECONDS = 60.0
_MAX_PORT_ATTEMPTS = 3
_HEAP_OPTIONS = ("-Xms128m", "-Xmx384m")
# The serial collector and the first compiler only: a third less start time, less memory.
_STARTUP_OPTIONS = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+IgnoreUnrecognizedVMOptions",
)


@dataclass(frozen=True, slots=True)
class _Files:
    """The files in a broker's folder."""

    root: Path

    @property
    def records(self) -> Path:
        return self.root / "records"

    @property
    def meta(self) -> Path:
        return self.records / "meta.properties"

    @property
    def properties(self) -> Path:
        return self.root / "server.properties"

    @property
    def log4j2(self) -> Path:
        return self.root / "log4j2.properties"

    @property
    def log(self) -> Path:
        return self.root / "logs" / "server.log"

    @property
    def console(self) -> Path:
        return self.root / "logs" / "console.log"


class KafkaServer:
    """A broker on 127.0.0.1 that keeps its records in ``data_dir``.

    ``port`` 0 picks a free one at the first start and keeps it. With ``retain`` the records outlive
    :meth:`stop`; without, stopping deletes them. ``jvm_options`` come last and override others.
    ``listeners`` maps further ports to the ports that are advertised to their clients, for proxies.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        jars: Path,
        java: Tool,
        port: int = 0,
        retain: bool = True,
        jvm_options: tuple[str, ...] = (),
        listeners: Mapping[int, int] = {},
        on_progress: Progress = quiet,
        timeout: float = 90.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = _Files(data_dir.resolve())
        self._jars = jars.resolve()
        self._java = java
        self._requested_port = port
        self._port = port
        self._retain = retain
        self._jvm_options = jvm_options
        self._listeners = dict(listeners)
        self._on_progress = on_progress
        self._timeout = timeout
        self._monotonic = monotonic
        self._archive = ClassArchive(self._jars, java_version=java.version or "")
        self._process: ChildProcess | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def bootstrap(self) -> str:
        """``127.0.0.1:port``.

        Raises:
            BusbarError: the broker was not started, and the start picks the port.
        """
        if not self._port:
            raise BusbarError("The broker has no port yet: start it first.")
        return f"{ports.LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int | None:
        """The JVM's process id while it runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and running else None

    @property
    def log(self) -> Path:
        """The broker's own log."""
        return self._files.log

    @property
    def records(self) -> Path:
        """The folder with one folder for each partition."""
        return self._files.records

    def start(self) -> None:
        """Start the broker and return when it answers; a running one is left alone.

        Raises:
            ConfigurationError: the port or the folder is in use, or the broker failed; the error
                holds the reason from its log.
        """
        if self.pid is not None:
            return
        self._reap()
        started = self._monotonic()
        self._prepare()
        for attempt in range(1, _MAX_PORT_ATTEMPTS + 1):
            controller = self._choose_ports()
            try:
                self._launch(controller, started)
            except failures.PortInUse as error:
                # Another process took a port that was chosen here: choose again.
                ours = {controller} if self._requested_port else {controller, self._port}
                if attempt == _MAX_PORT_ATTEMPTS or error.port not in ours:
                    raise
                if error.port == self._port:
                    self._port = 0
            else:
                return

    def stop(self) -> None:
        """Stop the broker in order; kill it after 10 seconds."""
        if self._process is not None and not self._process.stop(timeout=_STOP_TIMEOUT_SECONDS):
            self._archive.disable_recording()
        self._reap()
        if not self._retain:
            shutil.rmtree(self._files.records, ignore_errors=True)

    def _reap(self) -> None:
        if self._process is not None:
            self._archive.save(self._process.returncode)
            self._process = None

    def _prepare(self) -> None:
        if "," in str(self._files.records):
            raise ConfigurationError(
                f"Kafka cannot keep its records in {self._files.root}: the path contains a comma.",
                fix="Choose a folder without one.",
            )
        try:
            self._files.log.parent.mkdir(parents=True, exist_ok=True)
            self._wait_for_lock()
            self._files.log4j2.write_text(config.log4j2_properties(), encoding="ascii")
        except OSError as error:
            raise ConfigurationError(
                f"Kafka cannot write to {self._files.root} ({error.strerror}).",
                fix="Make the folder writable for the user who starts it, or choose another.",
            ) from error

    def _wait_for_lock(self) -> None:
        """Wait for the end of a broker whose owner has just been killed."""
        deadline = self._monotonic() + _LOCK_TIMEOUT_SECONDS
        while is_record_locked(self._files.records / ".lock"):
            if self._monotonic() > deadline:
                raise failures.folder_in_use(self._files.root)
            time.sleep(_POLL_SECONDS)

    def _choose_ports(self) -> int:
        """Set the broker's port and return one for the controller."""
        if self._requested_port and not ports.is_free(self._requested_port):
            raise failures.PortInUse(self._requested_port)
        controller, spare = ports.choose(2)
        if not self._port or not ports.is_free(self._port):
            self._port = spare
        return controller

    def _launch(self, controller: int, started: float) -> None:
        self._files.properties.write_text(
            config.server_properties(
                port=self._port,
                controller_port=controller,
                logs=self._files.records,
                listeners=self._listeners,
            ),
            encoding="ascii",
        )
        if self._files.log.exists():
            self._files.log.replace(self._files.log.with_name("server.previous.log"))
        self._format(started)
        options = (*_HEAP_OPTIONS, *self._archive.options(record=True))
        command = self._command(*options, main=("kafka.Kafka", str(self._files.properties)))
        try:
            self._process = ChildProcess(command, output=self._files.console)
        except OSError as error:
            raise ConfigurationError(
                f"Java could not be started ({error}).", fix=self._java.fix
            ) from error
        try:
            self._wait_until_ready(self._process, started)
        except BaseException:
            self._process.stop(timeout=_STOP_TIMEOUT_SECONDS)
            self._process = None
            raise

    def _wait_until_ready(self, process: ChildProcess, started: float) -> None:
        reported = self._monotonic()
        self._on_progress(f"starting Kafka on {self.bootstrap}", reported - started)
        cluster_id = _cluster_id(self._files.meta)
        while not _is_ready(self.bootstrap, cluster_id=cluster_id):
            now = self._monotonic()
            if process.wait(_POLL_SECONDS):
                if (process.returncode or 0) < 0:
                    self._archive.discard()  # the JVM crashed, which a bad archive can do
                raise self._explain()
            if now - started > self._timeout:
                raise ConfigurationError(
                    f"Kafka did not answer on {self.bootstrap} within {self._timeout:g} seconds.",
                    fix=f"Its log is {self._files.log}.",
                )
            if now - reported >= _REPORT_SECONDS:
                reported = now
                self._on_progress(f"starting Kafka on {self.bootstrap}", now - started)
        self._on_progress(f"Kafka answers on {self.bootstrap}", self._monotonic() - started)

    def _format(self, started: float) -> None:
        """Give the folder its cluster id, once; Kafka writes meta.properties last."""
        if self._files.meta.exists():
            return
        self._on_progress("formatting Kafka's storage", self._monotonic() - started)
        cluster_id = base64.urlsafe_b64encode(b"\0" + secrets.token_bytes(15)).decode().rstrip("=")
        properties = str(self._files.properties)
        arguments = ("format", "--ignore-formatted", "-t", cluster_id, "-c", properties)
        command = self._command(
            *self._archive.options(record=False), main=("kafka.tools.StorageTool", *arguments)
        )
        try:
            with self._files.console.open("wb") as output:
                done = subprocess.run(  # noqa: S603 - our own command, no shell
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=_FORMAT_TIMEOUT_SECONDS,
                    check=False,
                )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConfigurationError(
                f"Kafka's storage in {self._files.root} could not be formatted ({error}).",
                fix=f"Its output is {self._files.console}.",
            ) from error
        if done.returncode != 0:
            raise self._explain()

    def _command(self, *options: str, main: tuple[str, ...]) -> tuple[str, ...]:
        class_path = os.pathsep.join(str(jar) for jar in sorted(self._jars.glob("*.jar")))
        return (
            str(self._java.path),
            *_STARTUP_OPTIONS,
            *options,
            "-Djava.awt.headless=true",
            "-Djava.net.preferIPv4Stack=true",
            f"-Dlog4j2.configurationFile={self._files.log4j2.as_uri()}",
            f"-Dbusbar.log={self._files.log}",
            *self._jvm_options,
            "-cp",
            class_path,
            *main,
        )

    def _explain(self) -> ConfigurationError:
        text = "\n".join(map(_read, (self._files.log, self._files.console)))
        return failures.explain(text, port=self._port, data=self._files.root, log=self._files.log)


def _is_ready(address: str, *, cluster_id: str | None) -> bool:
    """Return whether the broker of ``cluster_id`` is up and lists itself as a member."""
    try:
        described = cluster.describe(address, timeout=_ANSWER_TIMEOUT_SECONDS)
    except (OSError, cluster.NotKafka):
        return False
    return described.cluster_id == cluster_id and address in described.brokers


def _cluster_id(meta: Path) -> str | None:
    found = re.search(r"^cluster\.id=(?P<id>\S+)", _read(meta), re.MULTILINE)
    return found["id"] if found else None


def _read(path: Path) -> str:
    if not path.exists():
        return ""
    return path.read_text(encoding="utf-8", errors="replace")
