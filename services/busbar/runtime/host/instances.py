"""The instances of a service: what each process is called, in its files and in its Kafka group."""

import hashlib
import socket
from pathlib import Path


def process_name(service: str, copy: int | None) -> str:
    """What a process is called: its service, and from the second copy on its number as well."""
    return service if copy is None or copy == 1 else f"{service}.{copy}"


def member_name(service: str, copy: int | None, *, home: Path, alone: bool) -> str | None:
    """The name of its own that a copy has in its Kafka group; None if it cannot have one.

    Two of one name would drive each other out. ``alone`` says that the store lets a service run
    once, so that its name is name enough. Else the instances of one home are told apart by their
    number, and homes and machines by theirs.
    """
    if alone:
        return f"{service}-1"
    if copy is None:
        return None
    place = f"{socket.gethostname()}\n{home.absolute()}"
    return f"{service}-{hashlib.sha256(place.encode()).hexdigest()[:16]}-{copy}"
