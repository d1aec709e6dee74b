"""Polls readiness and metrics of every process of a platform."""

import http.client
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from busbar.cli.local.addresses import Address
from busbar.cli.local.ready import connect, describe_failure, read_readiness
from busbar.cli.shared.samples import read_samples
from busbar.cli.status.overview import ProcessSnapshot

_MAX_THREADS = 16


def fetch_all(addresses: Mapping[str, Address]) -> dict[str, ProcessSnapshot]:
    """Return a snapshot of each process, fetched concurrently."""
    with ThreadPoolExecutor(_MAX_THREADS) as pool:
        snapshots = pool.map(_fetch, addresses, addresses.values())
        return dict(zip(addresses, snapshots, strict=True))


def _fetch(name: str, address: Address) -> ProcessSnapshot:
    service = name.partition(".")[0]
    connection = connect(address)
    try:
        problem = read_readiness(connection, name)
        samples = read_samples(connection)
    except (OSError, http.client.HTTPException) as error:
        problem = describe_failure(error)
        return ProcessSnapshot(service, address.pid, monotonic(), problem, answers=False)
    finally:
        connection.close()
    return ProcessSnapshot(service, address.pid, monotonic(), problem, samples)
