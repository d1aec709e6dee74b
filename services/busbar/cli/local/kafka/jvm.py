"""A Java process that ends with its owner, and starts faster from the second time on."""

import hashlib
import os
import queue
import secrets
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from busbar.cli.local.pdeathsig import tied_to_parent

_TERMINATED = 128 + signal.SIGTERM


class ChildProcess:
    """A process in a session of its own, so that Ctrl-C in the terminal reaches only its owner.

    On Linux it is killed when its owner ends without stopping it, even by ``kill -9``. Elsewhere it
    outlives the owner and has to be stopped by hand.

    Raises:
        OSError: the command cannot be run.
    """

    def __init__(self, command: tuple[str, ...], *, output: Path) -> None:
        self._exited = threading.Event()
        started: queue.SimpleQueue[subprocess.Popen[bytes] | OSError] = queue.SimpleQueue()
        # The thread lives exactly as long as the process. If it ended earlier, or if the caller's
        # own short-lived thread started the process, the kernel would kill the process.
        threading.Thread(
            target=self._run,
            args=(tied_to_parent(command), output, started),
            name="run-kafka",
            daemon=True,
        ).start()
        process = started.get()
        if isinstance(process, OSError):
            raise process
        self._process = process
        self.pid = process.pid

    def _run(
        self,
        command: Sequence[str],
        output: Path,
        started: "queue.SimpleQueue[subprocess.Popen[bytes] | OSError]",
    ) -> None:
        try:
            with output.open("wb") as stream:
                process = subprocess.Popen(  # noqa: S603 - our own command, no shell
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            started.put(error)
            return
        started.put(process)
        process.wait()
        self._exited.set()

    @property
    def returncode(self) -> int | None:
        """The exit code (negative: the signal), or None while it runs."""
        return self._process.returncode if self._exited.is_set() else None

    def wait(self, timeout: float) -> bool:
        """Wait for the end, at most ``timeout`` seconds; return whether it has ended."""
        return self._exited.wait(timeout)

    def stop(self, *, timeout: float) -> bool:
        """Terminate it; kill it after ``timeout`` seconds. Return whether it ended before that."""
        if not self._exited.is_set():
            self._process.send_signal(signal.SIGTERM)
        if self._exited.wait(timeout):
            return True
        self._process.send_signal(signal.SIGKILL)
        self._exited.wait()
        return False


class ClassArchive:
    """Class data sharing (JEP 350): the first orderly stop saves a memory image of the classes.

    It is kept beside the jars and makes every later start a third faster. A JVM that cannot use it
    (another jar, other options) ignores it.
    """

    def __init__(self, jars: Path, *, java_version: str) -> None:
        # The archive fits only the same JVM and the same class path.
        key = hashlib.sha256(f"{java_version}\n{jars}".encode()).hexdigest()[:12]
        self._path = jars / f"classes-{key}.jsa"
        self._disabled = jars / f"classes-{key}.never"
        self._recording = jars / f"classes-{key}.{secrets.token_hex(4)}.partial"
        self._jars = jars

    def options(self, *, record: bool) -> tuple[str, ...]:
        """Return the options to use the archive, or with ``record`` to create it."""
        silent = ("-Xlog:cds=off", "-Xlog:cds+dynamic=off", "-Xlog:class+path=off")
        if self._path.exists():
            return (f"-XX:SharedArchiveFile={self._path}", "-Xshare:auto", *silent)
        if record and not self._disabled.exists() and os.access(self._jars, os.W_OK):
            return (f"-XX:ArchiveClassesAtExit={self._recording}", *silent)
        return ()

    def save(self, returncode: int | None) -> None:
        """Keep the recorded archive if the JVM ended in order after being asked to."""
        if not self._recording.exists():
            return
        if returncode == _TERMINATED:
            self._recording.replace(self._path)
        else:
            self._recording.unlink()

    def disable_recording(self) -> None:
        """Never record here again: writing the archive takes longer than a stop may."""
        if self._recording.exists():
            self._disabled.touch()

    def discard(self) -> None:
        """Delete the archive: a start that used it failed, and it may be the cause."""
        self._path.unlink(missing_ok=True)
        self._recording.unlink(missing_ok=True)
