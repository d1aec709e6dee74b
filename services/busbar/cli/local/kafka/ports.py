"""Free ports on the loopback interface."""

import secrets
import socket
from contextlib import ExitStack
from pathlib import Path

from busbar.kernel.errors import ConfigurationError

LOOPBACK = "127.0.0.1"
_FIRST_PORT = 20_000
_DEFAULT_EPHEMERAL_START = 32_768
_MAX_ATTEMPTS = 200


def is_free(port: int) -> bool:
    """Return whether a server could listen on ``port`` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        return _listen(probe, port)


def choose(count: int) -> tuple[int, ...]:
    """Return ``count`` different free ports.

    They lie below the range of ephemeral ports: a port in that range can be taken by any client,
    even by a client of the broker itself while the broker restarts.

    Raises:
        ConfigurationError: too few ports are free.
    """
    top = _ephemeral_start()
    with ExitStack() as held:
        ports: list[int] = []
        for _ in range(_MAX_ATTEMPTS):
            probe = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            port = _FIRST_PORT + secrets.randbelow(top - _FIRST_PORT) if top > _FIRST_PORT else 0
            if _listen(probe, port):
                ports.append(int(probe.getsockname()[1]))
            if len(ports) == count:
                return tuple(ports)
    raise ConfigurationError(
        f"No {count} free ports were found on {LOOPBACK} in {_MAX_ATTEMPTS} attempts.",
        fix="Stop programs that use many ports, or name a port.",
    )


def _listen(probe: socket.socket, port: int) -> bool:
    # Connections that are still closing must not count: the broker binds with the same option.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((LOOPBACK, port))
        probe.listen(1)
    except OSError:
        return False
    return True


def _ephemeral_start() -> int:
    try:
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
    except OSError:
        return _DEFAULT_EPHEMERAL_START
    return int(text.split()[0])
