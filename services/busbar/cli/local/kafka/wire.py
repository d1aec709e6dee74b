"""Asks a server whether it is Kafka, with the two oldest requests of its protocol.

Format: https://kafka.apache.org/protocol (ApiVersions v0, Metadata v4, request header v1).
"""

import socket
import struct
from dataclasses import dataclass

_API_VERSIONS, _METADATA = 18, 3
_SIZES = range(4, 1 << 20)
_CLIENT = b"busbar"


class NotKafka(ValueError):
    """Something listens there, but it does not speak Kafka's protocol in plain text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What a broker says about its cluster."""

    cluster_id: str | None
    brokers: tuple[str, ...]


def split_address(address: str) -> tuple[str, int]:
    """``host:port`` or ``[ipv6]:port`` in its parts.

    Raises:
        ValueError: it has no host, or no port from 1 to 65535.
    """
    host, _, port = address.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 1 << 16:
        raise ValueError(f"{address!r} is not host:port")
    return host, int(port)


def speaks_kafka(address: str, *, timeout: float = 2.0) -> None:
    """Return when ``address`` answers an ApiVersions request within ``timeout`` seconds.

    Raises:
        OSError: nobody listens there, or the answer does not come.
        NotKafka: the answer is not Kafka's.
        ValueError: the address is not ``host:port``.
    """
    with socket.create_connection(split_address(address), timeout=timeout) as connection:
        answer = _ask(connection, _API_VERSIONS, version=0, body=b"")
    if len(answer) < struct.calcsize(">hi") or answer.int16() not in {0, 35}:
        raise NotKafka(f"{address} answers, but not as Kafka does")


def describe(address: str, *, timeout: float = 2.0) -> Cluster:
    """The cluster as the broker at ``address`` describes it.

    Raises:
        OSError: nobody listens there, or the answer does not come.
        NotKafka: the answer is not Kafka's.
        ValueError: the address is not ``host:port``.
    """
    no_topics = struct.pack(">i?", 0, False)
    with socket.create_connection(split_address(address), timeout=timeout) as connection:
        answer = _ask(connection, _METADATA, version=4, body=no_topics)
    try:
        answer.int32()  # throttle time
        brokers = tuple(answer.broker() for _ in range(answer.int32()))
        return Cluster(cluster_id=answer.text(), brokers=brokers)
    except (struct.error, UnicodeDecodeError) as error:
        raise NotKafka(f"{address} answers, but not as Kafka does") from error


def _ask(connection: socket.socket, api: int, *, version: int, body: bytes) -> "_Answer":
    correlation = 1
    header = struct.pack(">hhih", api, version, correlation, len(_CLIENT)) + _CLIENT
    request = header + body
    connection.sendall(struct.pack(">i", len(request)) + request)
    (size,) = struct.unpack(">i", _read(connection, 4))
    if size not in _SIZES:
        raise NotKafka("the answer does not start with a length")
    answer = _Answer(_read(connection, size))
    if answer.int32() != correlation:
        raise NotKafka("the answer belongs to another request")
    return answer


def _read(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        part = connection.recv(size - len(received))
        if not part:
            raise ConnectionError("the connection was closed before the answer was complete")
        received += part
    return received


class _Answer:
    """Reads the parts of an answer from its front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __len__(self) -> int:
        return len(self._data) - self._at

    def _take(self, form: str) -> int:
        (value,) = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return int(value)

    def int16(self) -> int:
        return self._take(">h")

    def int32(self) -> int:
        return self._take(">i")

    def text(self) -> str | None:
        size = self.int16()
        if size < 0:
            return None
        start, self._at = self._at, self._at + size
        return self._data[start : self._at].decode()

    def broker(self) -> str:
        self.int32()  # node id
        host, port = self.text(), self.int32()
        self.text()  # rack
        return f"{host}:{port}"
