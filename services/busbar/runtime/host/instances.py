"""Names of the instances of a service, for their files and in their Kafka group."""

import hashlib
import socket
from pathlib import Path


def process_name(service: str, number: int | None) -> str:
    """Return the name of a process: its service, with the number of all instances but the first."""
    return service if number is None or number == 1 else f"{service}.{number}"


def member_name(service: str, number: int | None, *, home: Path, alone: bool) -> str | None:
    """Return the stable name of an instance in its Kafka group; None if it cannot have one.

    Two members of one name would fence each other. ``alone`` means that the store allows only one
    process per service, so that the service's name is unique. Otherwise the name contains the
    number of the instance and a hash of its machine and home.
    """
    if alone:
        return f"{service}-1"
    if number is None:
        return None
    place = f"{socket.gethostname()}\n{home.absolute()}"
    return f"{service}-{hashlib.sha256(place.encode()).hexdigest()[:16]}-{number}"
