"""The address of a server as ``host:port``."""

from typing import Final

_MAX_PORT: Final = 65_535


def split_address(address: str) -> tuple[str, int]:
    """Return the parts of ``host:port`` or ``[ipv6]:port``.

    Raises:
        ValueError: it has no host, or no port from 1 to 65535.
    """
    host, _, port = address.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    is_host = bool(host) and not any(mark.isspace() or mark in "/@,[]" for mark in host)
    if not is_host or not (port.isascii() and port.isdigit()) or not 0 < int(port) <= _MAX_PORT:
        raise ValueError(f"{address!r} is not host:port")
    return host, int(port)
