"""The broker's jars: fetched once with Maven, shared by every broker that is started.

``<folder>/<key>/`` holds the jars of one version of the pom. ``complete.json`` in it is written
last and lists them, so that an interrupted fetch is detected and repeated; what Maven has already
downloaded stays in its own repository. A file lock keeps concurrent starts apart.
"""

import hashlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from busbar.cli.local.kafka.broker import Progress, quiet
from busbar.cli.local.kafka.probe import without_colour
from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.assets import asset
from busbar.runtime.core.locks import FileLock

_GOAL = "dependency:copy-dependencies"
_MAX_ERROR_LINES = 8
_LOCK_POLL_SECONDS = 0.5
_REPORT_SECONDS = 1.0
_DOWNLOADED = re.compile(r"Downloaded from .*\.jar\b")
_PASSWORD = re.compile(r"(?<=://)[^/\s@]+@")
_ADVICE = re.compile(r"\[Help \d+\]|re-run Maven|full debug logging|For more information about")
_NO_NETWORK = re.compile(
    r"Unknown host|UnknownHost|Name or service not known|Temporary failure in name resolution"
    r"|Network is unreachable|No route to host|Connection refused|Connect(ion)? timed out"
    r"|Connection reset|Could not transfer|offline mode",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JarSource:
    """The ``pom`` that names the jars, and the ``folder`` that keeps them."""

    pom: Path
    folder: Path


def locate(home: Path) -> JarSource:
    """Return the source of the jars; in a checkout its folder is shared by all homes."""
    pom = asset("infra/kafka/pom.xml")
    is_checkout = (pom.parents[2] / "pyproject.toml").exists()
    return JarSource(pom=pom, folder=pom.parent / "lib" if is_checkout else home / "kafka" / "lib")


def find(source: JarSource) -> Path | None:
    """Return the folder with every jar of ``source``; None if one is missing or incomplete."""
    folder = _jar_folder(source)
    try:
        sizes = json.loads((folder / "complete.json").read_bytes())
        if all((folder / name).stat().st_size == size for name, size in sizes.items()):
            return folder
    except (OSError, ValueError, AttributeError):
        return None
    return None


def ensure(
    source: JarSource,
    *,
    maven: Path,
    on_progress: Progress = quiet,
    timeout: float = 900.0,
    monotonic: Callable[[], float] = time.monotonic,
) -> Path:
    """Return the folder with every jar of ``source``; fetch them with ``maven`` if needed.

    Raises:
        ConfigurationError: Maven failed or took longer than ``timeout`` seconds; the error quotes
            its last lines and names its log.
    """
    found = find(source)
    if found is not None:
        return found
    folder = _jar_folder(source)
    started = monotonic()
    _create(source.folder)
    with _lock(source.folder / ".lock", on_progress=on_progress, monotonic=monotonic):
        found = find(source)  # another process may have fetched them meanwhile
        if found is not None:
            return found
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        shutil.copyfile(source.pom, folder / "pom.xml")
        fetch = _Fetch(folder=folder, log=source.folder / f"{folder.name}.maven.log")
        for _ in fetch.run(maven):
            on_progress(f"fetching Kafka's jars: {fetch.count()} so far", monotonic() - started)
            if monotonic() - started > timeout:
                raise fetch.error(f"Maven did not fetch Kafka's jars within {timeout:g} seconds")
        _write_manifest(folder, fetch)
        on_progress(f"fetched Kafka's jars: {fetch.count()}", monotonic() - started)
        return folder


class _Fetch:
    """One run of Maven, with its output in ``log``."""

    def __init__(self, *, folder: Path, log: Path) -> None:
        self.folder = folder
        self.log = log

    def run(self, maven: Path) -> Iterator[None]:
        """Yield about once a second until Maven has succeeded."""
        command = (str(maven), "-B", _GOAL, f"-DoutputDirectory={self.folder}")
        with self.log.open("wb") as output:
            try:
                process = subprocess.Popen(  # noqa: S603 - a fixed command with our own folder
                    command,
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            except OSError as error:
                raise self.error(f"Maven could not be started ({error})") from error
        try:
            yield
            while not _wait(process):
                yield
        finally:
            _terminate(process)
        if process.returncode != 0:
            raise self.error(f"Maven failed (exit code {process.returncode})")

    def count(self) -> int:
        """Return the number of jars in place or already in Maven's repository."""
        return max(len(_jars(self.folder)), len(_DOWNLOADED.findall(self._output())))

    def error(self, what: str) -> ConfigurationError:
        output = self._output()
        lines = [line for line in map(str.strip, output.splitlines()) if _is_informative(line)]
        errors = [line for line in lines if line.startswith("[ERROR]")]
        said = "\n".join(f"  {line}" for line in (errors or lines)[-_MAX_ERROR_LINES:])
        if _NO_NETWORK.search(output):
            fix = (
                "Connect to the network, or configure a mirror in ~/.m2/settings.xml, and start"
                f" again; what was downloaded is kept. The whole output is in {self.log}."
            )
        else:
            fix = f"The whole output is in {self.log}; fix its cause and start again."
        return ConfigurationError(f"{what}. Its last lines:\n{said or '  (none)'}\n", fix=fix)

    def _output(self) -> str:
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return _PASSWORD.sub("", without_colour(text))


def _is_informative(line: str) -> bool:
    """Return whether ``line`` is neither empty, nor of a stack trace, nor advice about Maven."""
    bare = line.removeprefix("[ERROR]").strip()
    return bool(bare) and not bare.startswith("at ") and not _ADVICE.search(bare)


def _wait(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(timeout=_REPORT_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _terminate(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _jars(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jar"))


def _write_manifest(folder: Path, fetch: _Fetch) -> None:
    sizes = {jar.name: jar.stat().st_size for jar in _jars(folder)}
    if not sizes:
        raise fetch.error("Maven succeeded, but left no jars")
    partial = folder / "complete.json.partial"
    partial.write_text(json.dumps(sizes, indent=1), encoding="utf-8")
    partial.replace(folder / "complete.json")


def _jar_folder(source: JarSource) -> Path:
    key = hashlib.sha256(source.pom.read_bytes()).hexdigest()[:12]
    return source.folder.resolve() / key


def _create(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"Kafka's jars cannot be kept in {folder} ({error.strerror}).",
            fix="Make that folder writable.",
        ) from error


@contextmanager
def _lock(path: Path, *, on_progress: Progress, monotonic: Callable[[], float]) -> Iterator[None]:
    """Hold the lock ``path`` during the block; report while another process holds it."""
    lock = FileLock(path)
    started = monotonic()
    reported = -_REPORT_SECONDS
    while not lock.try_acquire():
        waited = monotonic() - started
        if waited - reported >= _REPORT_SECONDS:
            reported = waited
            on_progress("another process is fetching Kafka's jars", waited)
        time.sleep(_LOCK_POLL_SECONDS)
    try:
        yield
    finally:
        lock.release()
