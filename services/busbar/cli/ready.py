"""Asks a service whether it is ready; kept apart so that asking loads no supervisor."""

import http.client
import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_TIMEOUT_SECONDS = 2.0
_OK = 200


@dataclass(frozen=True, slots=True)
class Readiness:
    """``problem`` is empty exactly when the service is ready; ``port`` is None if unknown."""

    problem: str
    port: int | None = None

    @property
    def ready(self) -> bool:
        """Whether it is ready."""
        return not self.problem


def listening(home: Path, name: str, *, pid: int | None) -> tuple[str, int] | None:
    """Where the service ``name`` listens, if process ``pid`` says that it does."""
    found = _notice(home, name)
    if pid is None or found is None or found[0] != pid:
        return None
    return found[1]


def known(home: Path) -> tuple[str, ...]:
    """The processes that have written down in ``home`` where they listen."""
    return tuple(sorted(path.stem for path in (home / "run").glob("*.json")))


def answer(home: Path, name: str) -> Readiness:
    """How the service ``name`` is, whichever process runs it."""
    found = _notice(home, name)
    if found is None:
        return Readiness("it does not listen yet")
    return Readiness(_ask(*found[1]), found[1][1])


def _notice(home: Path, name: str) -> tuple[object, tuple[str, int]] | None:
    """Which process says that it is the service ``name``, and where it listens."""
    try:
        notice = json.loads((home / "run" / f"{name}.json").read_text(encoding="utf-8"))
        address = urlsplit(str(notice["url"]))
        host, port, owner = address.hostname, address.port, notice["pid"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if host is None or port is None:
        return None
    return owner, (host, port)


def readiness(home: Path, name: str, *, pid: int | None) -> Readiness:
    """How the service ``name`` is, if process ``pid`` is the one that runs it."""
    if pid is None:
        return Readiness("it is not running")
    address = listening(home, name, pid=pid)
    if address is None:
        return Readiness("it does not listen yet")
    return Readiness(_ask(*address), address[1])


def _ask(host: str, port: int) -> str:
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        return f"it does not answer ({type(error).__name__})"
    finally:
        connection.close()
    if response.status == _OK:
        return ""
    try:
        problems = json.loads(body)["problems"]
        return "; ".join(f"{part}: {why}" for part, why in problems.items()) or "it is not ready"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"it answers {response.status}"
