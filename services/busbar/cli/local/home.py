"""The platform's folder: private, used by one ``busbar up`` at a time, with a state of it."""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from busbar.kernel.errors import ConfigurationError


def prepare(home: Path) -> None:
    """Make ``home`` with its folders, readable by their owner only.

    Raises:
        ConfigurationError: it cannot be made, or others may enter it.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("logs", "run"):
            (home / name).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The folder {home} cannot be used: {error.strerror}.",
            fix="Choose another with --home, or make it writable.",
        ) from error
    if problem := permission_problem(home):
        raise ConfigurationError(problem, fix=f"Run: chmod 700 {home}")


def permission_problem(home: Path) -> str | None:
    """Why secrets are not safe in ``home``, as a sentence, or None."""
    if home.stat().st_mode & 0o077:
        return f"The folder {home} can be entered by others, and secrets are kept in it."
    return None


class HomeLock:
    """Held by the one ``busbar up`` of a home; the kernel lets go of it when that one dies."""

    def __init__(self, home: Path) -> None:
        """Lock ``home`` once asked to."""
        self._home = home
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            ConfigurationError: another ``busbar up`` has it; the error names its process.
        """
        file = (self._home / "up.lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            pid = file.read().strip() or "unknown"
            file.close()
            raise ConfigurationError(
                f"busbar up runs already in {self._home}, as process {pid}.",
                fix=f"Use that one, stop it (kill {pid}), or choose another folder with --home.",
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    def release(self) -> None:
        """Let go of it."""
        if self._file is not None:
            self._file.close()
            self._file = None


def running_pid(home: Path) -> int | None:
    """The process of the ``busbar up`` that runs in ``home``, or None if none does."""
    path = home / "up.lock"
    if not path.exists():
        return None
    with path.open("r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            text = file.read().strip()
            return int(text) if text.isdigit() else None
    return None


def read_state(home: Path) -> Mapping[str, Any]:
    """What ``up.json`` says; nothing if it is not there or makes no sense."""
    try:
        found = json.loads((home / "up.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_state(home: Path, state: Mapping[str, Any]) -> None:
    """Write ``up.json`` at once, so that nobody reads half of it."""
    draft = home / f".up.json.{os.getpid()}"
    draft.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
    draft.replace(home / "up.json")
