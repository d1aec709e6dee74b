"""Asks every process of a platform how it is; each writes down where it listens."""

import http.client
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

from busbar.cli.status.picture import Look
from busbar.cli.status.samples import Samples, parse

PATIENCE_SECONDS = 3.0
_OK = 200
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Address:
    """Where a process said that it listens."""

    pid: int
    host: str
    port: int


def addresses(home: Path) -> dict[str, Address]:
    """The processes that ``home`` knows of, by name; some may have died since."""
    return dict(_addresses(home))


def _addresses(home: Path) -> Iterator[tuple[str, Address]]:
    for file in sorted((home / "run").glob("*.json")):
        try:
            notice = json.loads(file.read_text(encoding="utf-8"))
            url, pid = urlsplit(str(notice["url"])), int(notice["pid"])
            host, port = url.hostname, url.port
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it is being written
        if host is not None and port is not None:
            yield file.stem, Address(pid, host, port)


def look_at(known: Mapping[str, Address]) -> dict[str, Look]:
    """What each of them answers, all asked at the same time."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(known, pool.map(_look, known, known.values()), strict=True))


def _look(name: str, address: Address) -> Look:
    service = name.partition(".")[0]
    connection = http.client.HTTPConnection(address.host, address.port, timeout=PATIENCE_SECONDS)
    try:
        problem = _problem(connection, service)
        samples = _samples(connection)
    except (OSError, http.client.HTTPException) as error:
        why = f"it does not answer ({type(error).__name__})"
        return Look(service, address.pid, monotonic(), why, answers=False)
    finally:
        connection.close()
    return Look(service, address.pid, monotonic(), problem, samples)


def _problem(connection: http.client.HTTPConnection, service: str) -> str:
    connection.request("GET", "/readyz")
    response = connection.getresponse()
    try:
        body = json.loads(response.read())
        told, problems = body["service"], dict(body["problems"])
    except (ValueError, KeyError, TypeError) as error:
        raise http.client.HTTPException from error
    if told != service:
        raise http.client.HTTPException  # another process has the port now
    said = "; ".join(f"{part}: {why}" for part, why in problems.items())
    return said if response.status != _OK else ""


def _samples(connection: http.client.HTTPConnection) -> Samples | None:
    connection.request("GET", "/metrics")
    response = connection.getresponse()
    text = response.read().decode("utf-8", "replace")
    return parse(text) if response.status == _OK else None
