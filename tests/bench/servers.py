"""The real Kafka and the real PostgreSQL that both sides of a figure use, durable as in production.

PostgreSQL runs with ``fsync`` and ``synchronous_commit`` on, SQLite with ``synchronous=FULL``, and
producers are idempotent (``acks=all``): for the limits as for us.
"""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bench.run import Run
from busbar.cli.local.kafka import provide
from busbar.messages import topics
from support.postgres import PostgresServer
from support.postgres_store import StoreCluster

SETTINGS = {
    "max_connections": "100",
    "shared_buffers": "128MB",
    "synchronous_commit": "on",
}
"""``shared_buffers`` as PostgreSQL has it by default."""


@contextmanager
def folder(purpose: str) -> Iterator[Path]:
    """A private folder that is removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix=f"busbar-bench-{purpose}-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@asynccontextmanager
async def kafka(run: Run) -> AsyncIterator[str]:
    """A broker of its own, as ``busbar up`` starts it; gives its address."""
    run.say("  starting Kafka")
    with folder("kafka") as home:
        broker = await asyncio.to_thread(provide, home, bootstrap=None, retain=False)
        try:
            yield broker.bootstrap
        finally:
            await asyncio.to_thread(broker.stop)


@asynccontextmanager
async def postgres(run: Run, *services: str) -> AsyncIterator[StoreCluster]:
    """A cluster of its own with the schemas of ``services``."""
    run.say("  starting PostgreSQL")
    server = PostgresServer(fsync=True, settings=SETTINGS)
    try:
        server.start()  # not from a thread: it ends with who started it
        cluster = StoreCluster(server)
        await cluster.make_roles()
        if services:
            await cluster.migrate(*services)
        yield cluster
    finally:
        server.close()


async def make_topic(bootstrap: str, name: str) -> None:
    """Make a topic with as many partitions as the platform's have."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, topics.PARTITIONS, 1)])
    finally:
        await admin.close()
