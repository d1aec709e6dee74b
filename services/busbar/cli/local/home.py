"""The home folder of a platform: private, locked by one ``busbar up``, with its state in a file."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.locks import FileLock, is_locked


def prepare(home: Path) -> None:
    """Create ``home`` and its folders, accessible by their owner only.

    Raises:
        ConfigurationError: it cannot be created, or other users can access it.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("logs", "run"):
            (home / name).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The folder {home} cannot be used: {error.strerror}.",
            fix="Make it writable, or choose another folder with --home.",
        ) from error
    if problem := permission_problem(home):
        raise ConfigurationError(problem, fix=f"Run: chmod 700 {home}")


def permission_problem(home: Path) -> str | None:
    """Return why secrets are not safe in ``home``, as a sentence; None if they are."""
    if home.stat().st_mode & 0o077:
        return f"The folder {home} holds secrets, and other users can access it."
    return None


class HomeLock:
    """The lock of the one ``busbar up`` of a home; its file names the process that holds it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = FileLock(_lock_path(home))

    def acquire(self) -> None:
        """Acquire the lock.

        Raises:
            ConfigurationError: another ``busbar up`` holds it; the error names its process.
        """
        if not self._lock.try_acquire():
            pid = _read_pid(self._lock.path) or "unknown"
            raise ConfigurationError(
                f"busbar up is already running in {self._home}, as process {pid}.",
                fix=f"Use that one, stop it (kill {pid}), or choose another folder with --home.",
            )
        self._lock.path.write_text(f"{os.getpid()}\n", encoding="utf-8")

    def release(self) -> None:
        """Release the lock."""
        self._lock.release()


def running_pid(home: Path) -> int | None:
    """Return the process of the ``busbar up`` that runs in ``home``, or None if none does."""
    path = _lock_path(home)
    return _read_pid(path) if is_locked(path) else None


def _lock_path(home: Path) -> Path:
    return home / "up.lock"


def _read_pid(path: Path) -> int | None:
    text = path.read_text(encoding="utf-8").strip()
    return int(text) if text.isdigit() else None


def read_state(home: Path) -> Mapping[str, Any]:
    """Return the content of ``up.json``; empty if it is missing or invalid."""
    try:
        found = json.loads((home / "up.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_state(home: Path, state: Mapping[str, Any]) -> None:
    """Write ``up.json`` atomically."""
    draft = home / f".up.json.{os.getpid()}"
    draft.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
    draft.replace(home / "up.json")
