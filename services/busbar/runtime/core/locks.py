"""Locks between processes, held on files. POSIX only: flock(2) and fcntl(2)."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self


class FileLock:
    """An exclusive lock on a file, which is created (mode 0600) if it is missing.

    The kernel releases the lock when the process that holds it ends, however it ends. As a context
    manager it waits for the lock. It is not reentrant.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    def try_acquire(self) -> bool:
        """Acquire the lock if it is free; return whether it was."""
        try:
            self._acquire(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Release the lock; releasing it twice is fine."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        self._acquire(fcntl.LOCK_EX)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _acquire(self, operation: int) -> None:
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        file = os.fdopen(handle, "r+b")
        try:
            fcntl.flock(file, operation)
        except BaseException:
            file.close()
            raise
        self._file = file


def is_locked(path: Path) -> bool:
    """Return whether another process holds a :class:`FileLock` on ``path``."""
    if not path.exists():
        return False
    lock = FileLock(path)
    is_free = lock.try_acquire()
    lock.release()
    return not is_free


def is_record_locked(path: Path) -> bool:
    """Return whether another process holds a record lock on ``path``, as Java's FileLock does."""
    with suppress(FileNotFoundError), path.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # POSIX allows either
            return True
    return False
