"""Git commands in a checkout, with errors that say what to do."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from busbar.kernel.errors import ConfigurationError


def git(root: Path, *arguments: str) -> str:
    """Run git at ``root`` and return what it prints.

    Raises:
        ConfigurationError: git is missing or fails.
    """
    return git_bytes(root, *arguments).decode("utf-8", errors="replace")


def git_bytes(root: Path, *arguments: str, given: bytes = b"") -> bytes:
    """Run git at ``root`` with ``given`` as its input, and return the bytes that it prints.

    Raises:
        ConfigurationError: git is missing or fails.
    """
    done = _call(root, arguments, given)
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", errors="replace").strip()
        raise ConfigurationError(
            f"git {arguments[0]} failed: {said}.",
            fix="Correct what git reports, then try again.",
        )
    return done.stdout


def git_succeeds(root: Path, *arguments: str) -> bool:
    """Return whether git ends with exit code 0.

    Raises:
        ConfigurationError: git is missing.
    """
    return _call(root, arguments).returncode == 0


def read_blobs(root: Path, ids: Sequence[str]) -> list[bytes]:
    """Return the contents of the objects ``ids``, read with one process.

    Raises:
        ConfigurationError: git is missing or fails.
    """
    if not ids:
        return []
    wanted = "".join(f"{id_}\n" for id_ in ids).encode()
    output = git_bytes(root, "cat-file", "--batch", given=wanted)
    contents, start = [], 0
    for _ in ids:
        end = output.index(b"\n", start)
        size = int(output[start:end].rsplit(b" ", 1)[1])
        contents.append(output[end + 1 : end + 1 + size])
        start = end + 1 + size + 1
    return contents


def _call(
    root: Path, arguments: Sequence[str], given: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    if (program := shutil.which("git")) is None:
        raise ConfigurationError(
            "This is done with git, and there is no git on PATH.",
            fix="Install git, then try again.",
        )
    command = [program, "--no-pager", "-c", "core.quotePath=false", "-C", str(root), *arguments]
    return subprocess.run(command, input=given, capture_output=True, check=False)  # noqa: S603 - git by its path, no shell
