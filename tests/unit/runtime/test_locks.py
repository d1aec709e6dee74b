import os
import subprocess
import sys
from pathlib import Path

import pytest

from busbar.runtime.core.locks import FileLock, is_locked, is_record_locked

HOLDER = """
import fcntl, sys
file = open(sys.argv[2], "r+b")
getattr(fcntl, sys.argv[1])(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def holding(kind: str, path: Path) -> "subprocess.Popen[bytes]":
    """Another process that holds a lock of this ``kind`` until its standard input ends."""
    path.touch()
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-I", "-S", "-c", HOLDER, kind, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_lock_is_held_by_one_and_free_again_after_its_release(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.try_acquire()
    assert not second.try_acquire()
    assert is_locked(tmp_path / "lock")
    first.release()
    first.release()
    assert not is_locked(tmp_path / "lock")
    assert second.try_acquire()
    second.release()


def test_a_lock_file_is_private_and_its_text_can_be_written_by_the_holder(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock") as lock:
        lock.path.write_text(str(os.getpid()))
        assert not FileLock(lock.path).try_acquire()
        assert lock.path.read_text() == str(os.getpid())
    assert lock.path.stat().st_mode & 0o777 == 0o600


def test_the_kernel_releases_the_lock_of_a_process_that_is_killed(tmp_path: Path) -> None:
    with holding("flock", tmp_path / "lock") as other:
        assert is_locked(tmp_path / "lock")
        other.kill()
        other.wait()
    assert not is_locked(tmp_path / "lock")


def test_a_record_lock_of_another_process_is_seen(tmp_path: Path) -> None:
    with holding("lockf", tmp_path / "lock") as other:
        assert is_record_locked(tmp_path / "lock")
        other.kill()
        other.wait()
    assert not is_record_locked(tmp_path / "lock")


@pytest.mark.parametrize("probe", [is_locked, is_record_locked])
def test_asking_about_a_missing_file_does_not_create_it(tmp_path: Path, probe: object) -> None:
    assert callable(probe)
    assert not probe(tmp_path / "lock")
    assert list(tmp_path.iterdir()) == []
