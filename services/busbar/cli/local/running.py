"""Whether a platform runs in a folder; kept apart so that asking loads no supervisor."""

import fcntl
from pathlib import Path


def holder(home: Path) -> int | None:
    """The process of the ``busbar up`` that runs in ``home``, or None if none does."""
    path = home / "up.lock"
    if not path.exists():
        return None
    with path.open("r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            text = file.read().strip()
            return int(text) if text.isdigit() else None
    return None
