"""Reasons why a broker did not start, read from its output and log."""

import re
from pathlib import Path

from busbar.kernel.errors import ConfigurationError

_PORT_IN_USE = re.compile(r"Address already in use")
_BIND_FAILURE = re.compile(r"failed to bind to [^\s:]*:(?P<port>\d+)")
_LOCKED = re.compile(r"Failed to acquire lock on file \.lock in")
_KNOWN = (
    (re.compile(r"No space left on device"), "The disk is full.", "Free some space."),
    (
        re.compile(r"OutOfMemoryError|Cannot allocate memory|insufficient memory"),
        "There is not enough memory for it.",
        "It needs about 400 MB.",
    ),
    (
        re.compile(r"Permission denied|AccessDeniedException"),
        "It has no permission to write its files.",
        "Make the folder writable for the user who starts it.",
    ),
)
_CAUSE = re.compile(r"^(?:Caused by: )?[\w.$]+(?:Exception|Error): (?P<what>.+)$", re.MULTILINE)
_ERROR = re.compile(r"^\S+ (?:ERROR|FATAL) (?P<what>.+)$", re.MULTILINE)
_NOISE = re.compile(r"^Picked up |^\S.*\bwarning: |^SLF4J: ")
_MAX_REASON_CHARS = 300


class PortInUse(ConfigurationError):
    """Another process listens on ``port``."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"Kafka cannot start: port {port} on 127.0.0.1 is in use by another process.",
            fix="Stop that process, or choose another port (0 picks a free one).",
        )
        self.port = port


def folder_in_use(data: Path) -> ConfigurationError:
    """Return the error for a folder that another broker uses."""
    return ConfigurationError(
        f"Kafka cannot start: another broker uses the folder {data}.",
        fix="Stop that broker (perhaps another `busbar up`), or choose another folder.",
    )


def explain(text: str, *, port: int, data: Path, log: Path) -> ConfigurationError:
    """Return the error for a broker that ended while starting, after printing ``text``."""
    if _PORT_IN_USE.search(text):
        named = _BIND_FAILURE.search(text)
        return PortInUse(int(named["port"]) if named else port)
    if _LOCKED.search(text):
        return folder_in_use(data)
    for pattern, problem, fix in _KNOWN:
        if pattern.search(text):
            return ConfigurationError(
                f"Kafka cannot start in {data}. {problem}", fix=f"{fix} Its log is {log}."
            )
    return ConfigurationError(
        f"Kafka ended while it was starting: {reason(text)}", fix=f"Its log is {log}."
    )


def reason(text: str) -> str:
    """Return the likeliest cause in ``text``: an exception, else an error, else the first line."""
    found = _CAUSE.search(text) or _ERROR.search(text)
    lines = [line for line in text.splitlines() if line.strip() and not _NOISE.search(line)]
    what = found["what"] if found else (lines[0] if lines else "it printed nothing")
    return what.strip()[:_MAX_REASON_CHARS].rstrip(".") + "."
