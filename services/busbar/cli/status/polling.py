"""Asks every process of a platform how it is."""

import http.client
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from busbar.cli.local.addresses import Address
from busbar.cli.status.overview import ProcessSnapshot
from busbar.cli.status.samples import Samples, parse

TIMEOUT_SECONDS = 3.0
_OK = 200
_MAX_THREADS = 16


def fetch_all(known: Mapping[str, Address]) -> dict[str, ProcessSnapshot]:
    """What each of them answers, all asked at the same time."""
    with ThreadPoolExecutor(_MAX_THREADS) as pool:
        return dict(zip(known, pool.map(_fetch, known, known.values()), strict=True))


def _fetch(name: str, address: Address) -> ProcessSnapshot:
    service = name.partition(".")[0]
    connection = http.client.HTTPConnection(address.host, address.port, timeout=TIMEOUT_SECONDS)
    try:
        problem = _problem(connection, service)
        samples = _samples(connection)
    except (OSError, http.client.HTTPException) as error:
        why = f"it does not answer ({type(error).__name__})"
        return ProcessSnapshot(service, address.pid, monotonic(), why, answers=False)
    finally:
        connection.close()
    return ProcessSnapshot(service, address.pid, monotonic(), problem, samples)


def _problem(connection: http.client.HTTPConnection, service: str) -> str:
    connection.request("GET", "/readyz")
    response = connection.getresponse()
    try:
        body = json.loads(response.read())
        answered, problems = body["service"], dict(body["problems"])
    except (ValueError, KeyError, TypeError) as error:
        raise http.client.HTTPException from error
    if answered != service:
        raise http.client.HTTPException  # another process has the port now
    said = "; ".join(f"{part}: {why}" for part, why in problems.items())
    return said if response.status != _OK else ""


def _samples(connection: http.client.HTTPConnection) -> Samples | None:
    connection.request("GET", "/metrics")
    response = connection.getresponse()
    text = response.read().decode("utf-8", "replace")
    return parse(text) if response.status == _OK else None
