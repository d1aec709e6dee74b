"""Asks a service whether it is ready; kept apart so that asking loads no supervisor."""

import http.client
import json
from dataclasses import dataclass
from pathlib import Path

from busbar.cli.local.addresses import Address, read_address

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


def process_address(home: Path, name: str, *, pid: int | None) -> Address | None:
    """Where the service ``name`` listens, if process ``pid`` says that it does."""
    found = read_address(home, name)
    return found if found is not None and found.pid == pid else None


def check(home: Path, name: str) -> Readiness:
    """How the service ``name`` is, whichever process runs it."""
    return _readiness(read_address(home, name))


def check_process(home: Path, name: str, *, pid: int | None) -> Readiness:
    """How the service ``name`` is, if process ``pid`` is the one that runs it."""
    if pid is None:
        return Readiness("it is not running")
    return _readiness(process_address(home, name, pid=pid))


def _readiness(found: Address | None) -> Readiness:
    if found is None:
        return Readiness("it does not listen yet")
    return Readiness(_problem(found), found.port)


def _problem(found: Address) -> str:
    connection = http.client.HTTPConnection(found.host, found.port, timeout=_TIMEOUT_SECONDS)
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
