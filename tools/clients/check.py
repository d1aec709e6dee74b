"""Checks of generated clients, and running the programs that make them."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_VERBS = frozenset({"get", "put", "post", "delete", "patch", "head", "options"})
_WARNS = re.compile(
    r"\b(warning|warn|not supported|unsupported|skipp(ed|ing)|deprecated)\b", re.IGNORECASE
)


class FailedError(Exception):
    """A generator failed, warned, or left an operation out."""


def operation_ids(document: Mapping[str, Any]) -> list[str]:
    """Return the id of every operation in an OpenAPI document."""
    return sorted(
        operation["operationId"]
        for item in document["paths"].values()
        for verb, operation in item.items()
        if verb in _VERBS
    )


def require(wanted: Iterable[str], found: Iterable[str]) -> None:
    """Compare names without regard to case and underscores.

    Raises:
        FailedError: one of ``wanted`` is not among ``found``.
    """
    names = {_plain(name) for name in found}
    missing = [name for name in wanted if _plain(name) not in names]
    if missing:
        raise FailedError(f"the client has no operation for {', '.join(missing)}")


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def run(command: Sequence[str | Path], *, cwd: Path) -> str:
    """Run ``command`` and return its output.

    Raises:
        FailedError: the program is not installed, fails, or prints a warning.
    """
    if shutil.which(command[0]) is None:
        raise FailedError(f"{command[0]} is not installed; install it, then run this again")
    done = subprocess.run(  # noqa: S603 - the commands are those of this folder
        [str(part) for part in command],
        cwd=cwd,
        check=False,
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    if done.returncode != 0:
        raise FailedError(f"{command[0]} failed with status {done.returncode}:\n{said}")
    if _WARNS.search(said):
        raise FailedError(f"{command[0]} warned:\n{said}")
    return said
