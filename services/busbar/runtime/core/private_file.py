"""Files that only their owner may read: the gateway's token and the data key."""

import os
import stat
from pathlib import Path

from busbar.kernel.errors import ConfigurationError

_OTHERS = 0o077


def ensure_private_file(path: Path, fresh: str) -> str:
    """Return the text of the file at ``path``; create it from ``fresh`` (mode 0600) if missing.

    Processes that start concurrently agree on one text: the file is written under another name,
    flushed to the disk and then linked into place, which fails if there is one already.

    Raises:
        ConfigurationError: other users may read the file.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(fresh + "\n")
            file.flush()
            os.fsync(handle)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return read_private_file(path)


def read_private_file(path: Path) -> str:
    """Return the text of the file at ``path``, without surrounding white space.

    Raises:
        ConfigurationError: other users may read the file, or it is a folder or a device.
        OSError: it is missing or cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise ConfigurationError(f"{path} is {kind}.", fix="Name a file that holds the value.")
    if mode & _OTHERS:
        raise ConfigurationError(
            f"The file {path} can be read by other users.", fix=f"Run: chmod 600 {path}"
        )
    return path.read_text(encoding="utf-8").strip()
