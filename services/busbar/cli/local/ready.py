"""The readiness of a process, from its ``/readyz``."""

import http.client
import json
from dataclasses import dataclass
from pathlib import Path

from busbar.cli.local.addresses import Address, read_address

TIMEOUT_SECONDS = 3.0


class WrongProgram(http.client.HTTPException):
    """The answer is not that of the service: another program has the port now."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """``problem`` is empty exactly when the service is ready; ``port`` is None if unknown."""

    problem: str
    port: int | None = None

    @property
    def waits_for_peer(self) -> bool:
        """True if the service runs and waits for its database or for Kafka."""
        return self.problem.startswith(("store:", "kafka:"))

    @property
    def ready(self) -> bool:
        """True if the service is ready."""
        return not self.problem


def process_address(home: Path, name: str, *, pid: int | None) -> Address | None:
    """Return where the process ``pid`` of ``name`` listens; None if it does not listen yet."""
    found = read_address(home, name)
    return found if found is not None and found.pid == pid else None


def check(home: Path, name: str) -> Readiness:
    """Return whether the process ``name`` is ready, whatever its process id."""
    return _check(name, read_address(home, name))


def check_process(home: Path, name: str, *, pid: int | None) -> Readiness:
    """Return whether the process ``name`` is ready, if its process id is ``pid``."""
    if pid is None:
        return Readiness("it is not running")
    return _check(name, process_address(home, name, pid=pid))


def connect(address: Address) -> http.client.HTTPConnection:
    """Return a connection to ``address``, made with the first request."""
    return http.client.HTTPConnection(address.host, address.port, timeout=TIMEOUT_SECONDS)


def read_readiness(connection: http.client.HTTPConnection, name: str) -> str:
    """Return why the process ``name`` is not ready; empty if it is ready.

    Raises:
        OSError: there is no answer.
        WrongProgram: the answer is not that of a process of this service.
        http.client.HTTPException: the answer is not HTTP.
    """
    connection.request("GET", "/readyz")
    response = connection.getresponse()
    try:
        body = json.loads(response.read())
        service, problems = body["service"], dict(body["problems"])
    except (ValueError, KeyError, TypeError) as error:
        raise WrongProgram from error
    if service != name.partition(".")[0]:
        raise WrongProgram
    if response.status == http.client.OK:
        return ""
    return "; ".join(f"{part}: {why}" for part, why in problems.items()) or "it is not ready"


def describe_failure(error: Exception) -> str:
    """Return a clause that describes an error of :func:`read_readiness`."""
    if isinstance(error, WrongProgram):
        return "another program answers on its port"
    return f"it does not answer ({type(error).__name__})"


def _check(name: str, address: Address | None) -> Readiness:
    if address is None:
        return Readiness("it is not listening yet")
    connection = connect(address)
    try:
        problem = read_readiness(connection, name)
    except (OSError, http.client.HTTPException) as error:
        problem = describe_failure(error)
    finally:
        connection.close()
    return Readiness(problem, address.port)
