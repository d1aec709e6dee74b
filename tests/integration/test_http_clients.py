"""Bad clients of running services: these stay small, go on answering, and log no error."""

import asyncio
import json
import socket
import subprocess
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from support import eventually

MIB = 1024 * 1024
TOKEN = "a-token-that-is-only-for-this-test"  # noqa: S105 - the tests' own, it opens nothing
HEAD = f"HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
GET = f"GET /v1/facts?after=now&wait=1 {HEAD}\r\n".encode()
POST = f"POST /v1/events {HEAD}Content-Type: application/json\r\n"
EVENT = f"{POST}ce-specversion: 1.0\r\nce-source: urn:test\r\nce-id: 1\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n\r\n"
BREAKS_OFF = {
    "the end of the connection": f"{EVENT}Content-Length: 100\r\n\r\n{{".encode(),
    "a chunk without a length": f"{EVENT}{CHUNKED}zz\r\n".encode(),
    "a field of a trailer": f"{EVENT}{CHUNKED}2\r\n{{}}\r\n0\r\nce-type: a.b\r\n\r\n".encode(),
    "nothing that is HTTP": b"nonsense\r\n\r\n",
    "a URL without a path": b"GET ?a HTTP/1.1\r\nHost: x\r\n\r\n",
    "a URL that is none": b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "another method": b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n",
}


class Running:
    """``busbar run <service>`` whose Kafka refuses connections: it answers all the same."""

    def __init__(self, service: str, home: Path, bootstrap: str) -> None:
        self.place = home / "run" / f"{service}.json"
        self.log = home / "log"
        environment = {
            "BUSBAR_HOME": str(home),
            "BUSBAR_GATEWAY_PORT_NUMBER": "0",
            "BUSBAR_TOKEN": TOKEN,
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "busbar", "run", service],
                cwd=home,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def url(self) -> str:
        found = json.loads(self.place.read_text(encoding="utf-8"))
        return str(found["url"])

    async def is_alive(self) -> bool:
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/healthz") as found:
            return found.status == 200

    async def connect(self, sent: bytes) -> tuple[StreamReader, StreamWriter]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(self.url.rpartition(":")[2])
        )
        writer.write(sent)
        await writer.drain()
        return reader, writer

    def rss(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def errors(self) -> Sequence[str]:
        """The lines of the log that are errors, or are no entries at all."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if '"level":"error"' in line or not line.startswith("{")]


@contextmanager
def running(service: str, home: Path) -> Iterator[Running]:
    with socket.socket() as refusing:  # it is bound and does not listen
        refusing.bind(("127.0.0.1", 0))
        found = Running(service, home, f"127.0.0.1:{refusing.getsockname()[1]}")
        try:
            yield found
        finally:
            found.process.terminate()
            assert found.process.wait(30) == 0


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running("gateway", tmp_path_factory.mktemp("home")) as found:
        yield found


@pytest.fixture
async def gateway(process: Running) -> AsyncIterator[Running]:
    await eventually(process.is_alive, within=60)
    yield process
    assert await process.is_alive()
    assert process.errors() == []


async def status_of(reader: StreamReader) -> int:
    return int((await reader.readline()).split()[1])


async def test_endless_headers_neither_fill_the_memory_nor_stop_others(gateway: Running) -> None:
    before = gateway.rss()
    for repeated in (b"a", b"x: y\r\n"):
        connections = [await gateway.connect(b"GET /healthz HTTP/1.1\r\nx: ") for _ in range(4)]
        for _ in range(8):
            for _, writer in connections:
                writer.write(repeated * (2 * MIB // len(repeated)))
            assert await gateway.is_alive()
        for reader, writer in connections:
            assert await status_of(reader) == 431
            writer.close()
    assert gateway.rss() - before < 24 * MIB


@pytest.mark.parametrize("name", BREAKS_OFF)
async def test_a_request_that_breaks_off_logs_no_error(gateway: Running, name: str) -> None:
    reader, writer = await gateway.connect(BREAKS_OFF[name])
    if name == "the end of the connection":
        writer.write_eof()
    else:
        assert await status_of(reader) in (400, 404)
    assert b'"code":' in await reader.read() or name == "the end of the connection"
    writer.close()


@pytest.mark.parametrize("answers", [0, 1])
async def test_a_client_that_leaves_open_requests_logs_no_error(
    gateway: Running, answers: int
) -> None:
    def open_connections() -> Sequence[Any]:
        return psutil.Process(gateway.process.pid).net_connections()

    before = len(open_connections())
    reader, writer = await gateway.connect(GET * 3)
    for _ in range(answers):
        await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()
    await eventually(lambda: len(open_connections()) <= before)
    reader, writer = await gateway.connect(GET)  # it waits as long as those that were left
    assert await status_of(reader) == 200
    writer.close()


async def test_the_port_of_policy_refuses_what_it_would_ignore(tmp_path: Path) -> None:
    with running("policy", tmp_path) as policy:
        await eventually(policy.is_alive, within=60)
        url = f"{policy.url}/v1/promises"
        found: dict[tuple[str, str], int] = {}
        async with aiohttp.ClientSession() as session:
            for method in ("GET", "HEAD", "POST", "DELETE"):
                for query in ("", "?x=1"):
                    async with session.request(method, url + query) as response:
                        found[method, query] = response.status
        assert policy.errors() == []
    assert found == {
        **{(method, ""): 200 for method in ("GET", "HEAD")},
        **{(method, "?x=1"): 400 for method in ("GET", "HEAD")},
        **{(method, query): 405 for method in ("POST", "DELETE") for query in ("", "?x=1")},
    }
