"""A private PostgreSQL cluster, on 127.0.0.1 only, of which nothing is left when it is closed.

``initdb`` and ``postgres`` refuse root; started by root, they run as ``postgres`` or ``nobody``.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import psutil
import pytest

from busbar.kernel.errors import ConfigurationError

ADMIN = "busbar_admin"
HOST = "127.0.0.1"
START_SECONDS = 30.0
TRIES = 3
GET_IT = "Run: apt-get install postgresql (or put initdb and postgres on PATH)."


class PostgresServer:
    """One cluster in a folder of its own. It can be stopped, killed and started again."""

    def __init__(self, *, fsync: bool = True, settings: Mapping[str, str] | None = None) -> None:
        """``fsync=False`` survives the end of the server, not that of the machine: it is faster."""
        self._programs = find_programs()
        self._account = unprivileged_account()
        self._fsync = fsync
        self._settings = dict(settings or {})
        self._password = secrets.token_urlsafe(24)
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="busbar-postgres-"))
        self._data = self.folder / "data"
        self.log = self.folder / "server.log"
        self.port = 0
        self._known = False
        if self._account is not None:
            os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process that listens; it runs only between start and stop."""
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process.pid

    def url(self, database: str = "postgres", *, user: str = ADMIN, password: str = "") -> str:
        """Return a connection URL; of the superuser by default."""
        secret = password or (self._password if user == ADMIN else "")
        return f"postgresql://{user}:{secret}@{HOST}:{self.port}/{database}"

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            ConfigurationError: it does not start.
        """
        if self._process is not None:
            return
        if not self._data.exists():
            self._initialise()
        for _ in range(TRIES):
            self.port = self.port or free_port()
            if self._started():
                self._known = True
                return
            if not self._known:  # another process took the port; no client knows it yet
                self.port = 0
        raise ConfigurationError(f"PostgreSQL does not start: {self.said()[-800:]}", fix=GET_IT)

    def follow(self, primary: "PostgresServer") -> None:
        """Become a standby of ``primary``, which has to run, with a copy of all that it has.

        Raises:
            ConfigurationError: the copy cannot be made.
        """
        if self._data.exists():
            shutil.rmtree(self._data)
        self._password = primary._password
        command: list[str | Path] = [self._programs / "pg_basebackup", "--pgdata", self._data]
        command += ["--dbname", primary.url(), "--write-recovery-conf", "--checkpoint=fast"]
        command += ["--wal-method=stream", "--no-sync"]
        done = subprocess.run(  # noqa: S603 - PostgreSQL's own program, no shell
            command, check=False, capture_output=True, text=True, **self._as_account()
        )
        if done.returncode:
            raise ConfigurationError(f"pg_basebackup failed: {done.stderr.strip()}", fix=GET_IT)

    def freeze(self) -> None:
        """Stop every process of it where it is, as a machine that hangs would."""
        if self._process is not None:
            for one in (*self._family(), psutil.Process(self._process.pid)):
                one.suspend()

    def stop(self, *, immediate: bool = False) -> None:
        """Stop it in good order; ``immediate`` leaves recovery to the next start."""
        if self._process is None:
            return
        family = self._family()
        self._process.send_signal(signal.SIGQUIT if immediate else signal.SIGINT)
        try:
            self._process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._bury(family)

    def kill(self) -> None:
        """Kill all its processes with one signal, as a crash of the machine would."""
        if self._process is None:
            return
        family = self._family()
        self._process.kill()
        self._bury(family)

    def close(self) -> None:
        """Stop it and remove everything."""
        self.stop(immediate=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def said(self) -> str:
        """The server's log."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def _initialise(self) -> None:
        secret = self.folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(self._password, encoding="utf-8")
        if self._account is not None:
            os.chown(secret, self._account.pw_uid, self._account.pw_gid)
        command: list[str | Path] = [self._programs / "initdb", "--pgdata", self._data]
        command += ["--username", ADMIN, "--auth", "scram-sha-256", "--pwfile", secret]
        command += ["--encoding", "UTF8", "--locale", "C", *([] if self._fsync else ["--no-sync"])]
        done = subprocess.run(  # noqa: S603 - PostgreSQL's own program, no shell
            command, check=False, capture_output=True, text=True, **self._as_account()
        )
        secret.unlink()
        if done.returncode:
            raise ConfigurationError(f"initdb failed: {done.stderr.strip()}", fix=GET_IT)

    def _started(self) -> bool:
        settings = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "on" if self._fsync else "off",
            "max_connections": "60",
            "shared_buffers": "16MB",
            **self._settings,
        }
        # The server ends with us even if no process is left to stop it (prctl PR_SET_PDEATHSIG).
        guard = ["setpriv", "--pdeathsig", "QUIT", "--"] if shutil.which("setpriv") else []
        command: list[str | Path] = [*guard, self._programs / "postgres", "-D", self._data]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - PostgreSQL's own program, no shell
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._as_account()
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                self._process = None
                return False
            if self._is_ready():
                return True
            time.sleep(0.02)
        self.kill()
        return False

    def _is_ready(self) -> bool:
        """Return whether ``postmaster.pid`` says so: line 1 is the pid, line 8 the status."""
        try:
            lines = (self._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _family(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def _bury(self, family: list[psutil.Process]) -> None:
        """Wait until no process is left: a server that starts earlier finds its memory in use."""
        for one in family:
            try:
                one.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(family, timeout=START_SECONDS)
        if self._process is not None:
            self._process.wait(START_SECONDS)
        self._process = None

    def _as_account(self) -> dict[str, Any]:
        environment = {"PATH": os.defpath, "LC_ALL": "C"}
        options: dict[str, Any] = {"env": environment, "cwd": self.folder}
        if self._account is not None:
            options |= {
                "user": self._account.pw_uid,
                "group": self._account.pw_gid,
                "extra_groups": [],
            }
        return options


def find_programs() -> Path:
    """The folder of ``initdb`` and ``postgres``.

    Raises:
        ConfigurationError: they are nowhere.
    """
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    folders += sorted(versions, key=lambda path: int("0" + path.parent.name), reverse=True)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise ConfigurationError("These tests need a real PostgreSQL, at least 15.", fix=GET_IT)


def unprivileged_account() -> pwd.struct_passwd | None:
    """Return the user that runs the server if we are root, else None.

    Raises:
        ConfigurationError: there is no such user.
    """
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ConfigurationError(
        "PostgreSQL refuses to run as root, and there is neither postgres nor nobody.",
        fix="Run: useradd --system postgres",
    )


def free_port() -> int:
    """Return a port that is free right now."""
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def running_postgres(**settings: str) -> Iterator[PostgresServer]:
    """A cluster that is not durable, for speed; without PostgreSQL the test fails."""
    try:
        server = PostgresServer(fsync=False, settings=settings)
    except ConfigurationError as error:
        pytest.fail(f"These tests need a real PostgreSQL. {error}", pytrace=False)
    with server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A cluster for the whole session that logs every statement."""
    with running_postgres(log_statement="all", log_min_duration_statement="0") as server:
        yield server
