"""The file of a command, or standard input."""

import sys
from pathlib import Path

from busbar.cli.shared.documents import MAX_BYTES
from busbar.cli.shared.exits import usage


def read_file(file: str) -> bytes:
    """Return the content of ``file``; ``-`` is standard input.

    Raises:
        CommandError: it cannot be read.
    """
    try:
        if file == "-":
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with Path(file).open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise usage(
            f"Cannot read {file}: {error.strerror}.",
            fix="Check the name, or use - for standard input.",
        ) from error
