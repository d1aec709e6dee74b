"""The log files of services: append, rotate, and find the last error."""

import os
import re
from pathlib import Path
from typing import BinaryIO

MAX_LOG_BYTES = 10 * 1024 * 1024

_TAIL_BYTES = 16 * 1024
_ERROR_LINES = re.compile(r"^error: (?P<error>.+)(?:\n+fix: (?P<fix>.+))?", re.MULTILINE)


def open_log(path: Path) -> BinaryIO:
    """Open ``path`` for appending; a file larger than 10 MB is renamed to ``.1`` first."""
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def last_error(path: Path, *, since: int) -> tuple[str, str]:
    """Return the last error in a log from byte ``since`` on, and its fix; else the last line."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(since, size - _TAIL_BYTES))
        text = file.read().decode("utf-8", errors="replace")
    found = list(_ERROR_LINES.finditer(text))
    if found:
        return found[-1]["error"], found[-1]["fix"] or ""
    lines = [line for line in text.splitlines() if line.strip()]
    return (lines[-1] if lines else "it printed nothing"), ""
