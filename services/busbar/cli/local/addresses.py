"""The addresses that the processes of a platform register in ``<home>/run``."""

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Address:
    """The address that the process ``pid`` listens on."""

    pid: int
    host: str
    port: int


def process_names(home: Path) -> tuple[str, ...]:
    """Return the names of the processes that have registered; some may have died since."""
    return tuple(sorted(path.stem for path in (home / "run").glob("*.json")))


def read_address(home: Path, name: str) -> Address | None:
    """Return the address of the process ``name``; None if it is missing or incomplete."""
    try:
        entry = json.loads((home / "run" / f"{name}.json").read_text(encoding="utf-8"))
        url, pid = urlsplit(str(entry["url"])), int(entry["pid"])
        host, port = url.hostname, url.port
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None if host is None or port is None else Address(pid, host, port)


def read_addresses(home: Path) -> dict[str, Address]:
    """Return every address, by the name of its process."""
    return {name: found for name in process_names(home) if (found := read_address(home, name))}
