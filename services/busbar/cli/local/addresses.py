"""What each process of a platform writes down in its home: who it is, and where it listens."""

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Address:
    """Where the process ``pid`` said that it listens."""

    pid: int
    host: str
    port: int


def process_names(home: Path) -> tuple[str, ...]:
    """The processes that have written something down in ``home``; some may have died since."""
    return tuple(sorted(path.stem for path in (home / "run").glob("*.json")))


def read_address(home: Path, name: str) -> Address | None:
    """What the process called ``name`` wrote; None if that is nothing, or not whole yet."""
    try:
        entry = json.loads((home / "run" / f"{name}.json").read_text(encoding="utf-8"))
        url, pid = urlsplit(str(entry["url"])), int(entry["pid"])
        host, port = url.hostname, url.port
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None if host is None or port is None else Address(pid, host, port)


def read_addresses(home: Path) -> dict[str, Address]:
    """All that ``home`` knows of, by name."""
    return {name: found for name in process_names(home) if (found := read_address(home, name))}
