"""The file of a command, or standard input."""

import sys
from pathlib import Path
from typing import BinaryIO

from busbar.cli.shared.documents import MAX_BYTES
from busbar.cli.shared.exits import usage


def read_file(file: str) -> bytes:
    """Return the content of ``file``; ``-`` is standard input.

    Raises:
        CommandError: it cannot be read.
    """
    try:
        if file == "-":
            return standard_input().read(MAX_BYTES + 1)
        with Path(file).open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise usage(
            f"Cannot read {file}: {error.strerror}.",
            fix="Check the name, or use - for standard input.",
        ) from error


def standard_input() -> BinaryIO:
    """Return standard input.

    Raises:
        CommandError: it is closed, as with ``<&-`` in a shell.
    """
    if sys.stdin is None:
        raise usage("Standard input is closed.", fix="Name a file, or open standard input.")
    return sys.stdin.buffer


def at_terminal() -> bool:
    """Return whether a person can be asked: standard input is a terminal."""
    return sys.stdin is not None and sys.stdin.isatty()
