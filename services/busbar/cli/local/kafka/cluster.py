"""Questions to a server: whether it is Kafka, and of which cluster it is a broker."""

import asyncio
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from busbar.kernel.host_port import split_address

Result = TypeVar("Result")

_LOGGERS = ("aiokafka", "aiokafka.admin.client", "aiokafka.conn")


class NotKafka(ValueError):
    """Something listens there, but it does not speak Kafka's protocol in plain text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The id and the brokers of a cluster."""

    cluster_id: str | None
    brokers: tuple[str, ...]


def check(address: str, *, timeout: float = 2.0) -> None:
    """Return if ``address`` answers as a Kafka broker within ``timeout`` seconds.

    Raises:
        OSError: nothing listens there, or the answer does not come.
        NotKafka: the answer is not Kafka's.
        ValueError: the address is not ``host:port``.
    """

    async def connected(_admin: Any) -> None:
        """Connecting alone asks for the versions of the protocol and for the brokers."""

    _ask(address, connected, timeout=timeout)


def describe(address: str, *, timeout: float = 2.0) -> Cluster:
    """Return the cluster as the broker at ``address`` describes it.

    Raises:
        OSError: nothing listens there, or the answer does not come.
        NotKafka: the answer is not Kafka's.
        ValueError: the address is not ``host:port``.
    """
    found = _ask(address, lambda admin: admin.describe_cluster(), timeout=timeout)
    return Cluster(
        cluster_id=found.get("cluster_id"),
        brokers=tuple(f"{broker['host']}:{broker['port']}" for broker in found["brokers"]),
    )


def _ask(address: str, question: Callable[[Any], Awaitable[Result]], *, timeout: float) -> Result:
    # Cheap, and for seconds the only question while a broker starts: nothing listens yet.
    socket.create_connection(split_address(address), timeout=timeout).close()
    # In a thread: the caller's own may have a running event loop.
    with ThreadPoolExecutor(1, thread_name_prefix="ask-kafka") as pool:
        return pool.submit(_run, address, question, timeout).result()


def _run(address: str, question: Callable[[Any], Awaitable[Result]], timeout: float) -> Result:
    from aiokafka.errors import KafkaError  # noqa: PLC0415 - slow to load

    try:
        with _silence():
            return asyncio.run(_with_client(address, question, timeout))
    except TimeoutError as error:
        raise TimeoutError(f"no answer within {timeout:g} seconds") from error
    except (KafkaError, ValueError, AssertionError) as error:  # aiokafka asserts on odd answers
        raise NotKafka(f"{address} answers, but not as Kafka does") from error


async def _with_client(
    address: str, question: Callable[[Any], Awaitable[Result]], seconds: float
) -> Result:
    from aiokafka.admin import AIOKafkaAdminClient  # noqa: PLC0415 - slow to load

    async with asyncio.timeout(seconds):
        # A request's own timeout would look like an answer that is not Kafka's.
        admin = AIOKafkaAdminClient(
            bootstrap_servers=address.strip(), request_timeout_ms=round(seconds * 2000)
        )
        try:
            await admin.start()
            return await question(admin)
        finally:
            await admin.close()


@contextmanager
def _silence() -> Iterator[None]:
    """Drop what aiokafka logs in this thread: the errors that are raised say the same."""
    thread = threading.get_ident()

    def is_of_another_thread(record: logging.LogRecord) -> bool:
        return record.thread != thread

    for name in _LOGGERS:
        logging.getLogger(name).addFilter(is_of_another_thread)
    try:
        yield
    finally:
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(is_of_another_thread)
