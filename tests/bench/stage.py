"""The platform as ``busbar up`` runs it, with real processes on a real Kafka."""

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    closing,
)
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from aiokafka import AIOKafkaConsumer, TopicPartition
from pydantic import SecretStr

from bench import servers, work
from bench.run import Run
from busbar.cli.local import Database, Platform, ServicePlan, plan_services
from busbar.cli.local.home import prepare
from busbar.cli.local.plan import Wiring
from busbar.cli.local.principals import ensure_principals
from busbar.messages import topics
from busbar.messages.identity import KeyRegistered
from busbar.messages.signing import SigningKey
from busbar.runtime.core.bus import Partition
from support import eventually
from support.postgres_store import StoreCluster

On = Literal["postgres", "sqlite"]
HOPS = (topics.INTENTS_RESOURCE, topics.FACTS_POLICY, topics.FACTS_RESOURCE)
"""Where an intent and its facts are published."""

PATIENCE = 600.0
INTENTS_BY_KAFKA = frozenset(topics.SERVICES) - {"gateway"}
"""The services that are needed if intents come by Kafka."""
_ENTRY_POINTS = "[busbar.adapters]\nnoop = busbar.testing.noop:NoopBackend\n"
_PRINCIPAL = """
  - name: bench
    kind: service-account
    teams: ["*"]
    sources: ["{source}"]
    keys: ["{key}"]
"""
_METADATA = "Metadata-Version: 2.1\nName: busbar-bench\nVersion: 1.0\n"


class AuditCopy:
    """The store of audit, for reading."""

    def __init__(self, rows: Callable[[str], Awaitable[Any]]) -> None:
        """Use :func:`audit_copy`."""
        self._rows = rows

    async def rows(self, query: str) -> Any:
        """Return the rows of ``query``."""
        return await self._rows(query)

    async def has(self, ends: Mapping[Partition, int]) -> bool:
        """Return whether it has every record before ``ends``: its offsets say so (law 1)."""
        rows = await self._rows("SELECT topic, partition, next_offset FROM offsets")
        reached = {(topic, partition): offset for topic, partition, offset in rows}
        return all(reached.get(partition, 0) >= end for partition, end in ends.items())

    async def count(self, type_: str) -> int:
        """Count the events of ``type_``."""
        query = f"SELECT count(*) FROM events WHERE type = '{type_}'"  # noqa: S608 - our own names
        return int((await self._rows(query))[0][0])


@asynccontextmanager
async def copy_in_cluster(cluster: StoreCluster) -> AsyncIterator[AuditCopy]:
    """The copy in ``cluster``, over one connection that stays open."""
    async with cluster.session(service="audit") as session:
        yield AuditCopy(session.fetch)


@asynccontextmanager
async def copy_in_file(place: Path) -> AsyncIterator[AuditCopy]:
    """The copy in a file."""
    with closing(sqlite3.connect(place)) as session:

        async def rows(query: str) -> Any:
            return session.execute(query).fetchall()

        yield AuditCopy(rows)


@dataclass(frozen=True, slots=True)
class Stage:
    """The running platform."""

    run: Run
    bootstrap: str
    platform: Platform
    cluster: StoreCluster | None

    def audit_copy(self) -> AbstractAsyncContextManager[AuditCopy]:
        """Open the store of audit for a block."""
        if self.cluster is not None:
            return copy_in_cluster(self.cluster)
        return copy_in_file(self.platform.home / "audit.db")

    async def knows(self, key: SigningKey) -> None:
        """Return when policy has folded the declaration of ``key``."""
        query = f"SELECT 1 FROM events WHERE type = '{KeyRegistered.TYPE}' AND data LIKE '%{key.public.id}%'"  # noqa: E501, S608 - our own names

        async with copy_in_file(self.platform.home / "policy.db") as store:

            async def known() -> bool:
                return bool(await store.rows(query))

            await eventually(known, within=60, what="a key that policy knows")

    @asynccontextmanager
    async def own_side(self) -> AsyncIterator[None]:
        """Profile every service during the block."""
        self._signal()
        try:
            yield
        finally:
            self._signal()

    def _signal(self) -> None:
        if self.run.profiles is not None:
            for pid in self.platform.pids.values():
                if pid is not None:
                    os.kill(pid, signal.SIGUSR2)


@asynccontextmanager
async def stage(
    run: Run, on: On, *, instances: int = 1, signer: SigningKey | None = None
) -> AsyncIterator[Stage]:
    """Start servers and the platform on them, in so many ``instances``.

    ``signer`` is the key of a principal that has the source of the workload.
    """
    async with AsyncExitStack() as stack:
        home = stack.enter_context(servers.folder("home"))
        cluster = None
        if on == "postgres":
            cluster = await stack.enter_async_context(servers.postgres(run))
        bootstrap = await stack.enter_async_context(servers.kafka(run))
        if signer is not None:
            _declare(home / "busbar", signer)
        yield await stack.enter_async_context(
            platform(run, home, bootstrap, cluster, instances=instances)
        )


@asynccontextmanager
async def platform(
    run: Run,
    home: Path,
    bootstrap: str,
    cluster: StoreCluster | None,
    *,
    instances: int = 1,
    services: Collection[str] = INTENTS_BY_KAFKA,
) -> AsyncIterator[Stage]:
    """Start ``services`` of the platform on servers that run."""
    run.say(f"  starting the platform on {'sqlite' if cluster is None else 'postgres'}")
    found = Platform(
        home / "busbar",
        bootstrap=bootstrap,
        database=_database(cluster) if cluster is not None else None,
        instances=instances,
        services=_planner(run, _offering(home), services),
    )
    try:
        await asyncio.to_thread(found.start)
        await asyncio.to_thread(found.wait_ready)
        yield Stage(run, bootstrap, found, cluster)
    finally:
        await asyncio.to_thread(found.stop)


def _declare(home: Path, signer: SigningKey) -> None:
    prepare(home)
    ensure_principals(home)
    file = home / "principals.yaml"
    declared = _PRINCIPAL.format(source=work.SOURCE, key=signer.public.text)
    file.write_text(file.read_text(encoding="utf-8") + declared, encoding="utf-8")


def _database(cluster: StoreCluster) -> Database:
    return Database(url=SecretStr(cluster.url), owner_url=SecretStr(cluster.owner_url))


def _offering(home: Path) -> str:
    """A folder for PYTHONPATH that offers the adapter ``noop``, as an installed package would."""
    package = home / "offering" / "busbar_bench-1.0.dist-info"
    package.mkdir(parents=True, exist_ok=True)
    (package / "METADATA").write_text(_METADATA, encoding="utf-8")
    (package / "entry_points.txt").write_text(_ENTRY_POINTS, encoding="utf-8")
    return str(package.parent)


def _planner(
    run: Run, offering: str, services: Collection[str]
) -> Callable[[Wiring], tuple[ServicePlan, ...]]:
    tests = str(Path(__file__).parents[1])
    more = {
        "BUSBAR_PROMISES": str(work.PROMISES),
        "BUSBAR_UNSIGNED_INTENTS": "accept",
        "PYTHONPATH": f"{offering}{os.pathsep}{tests}",
    }

    def plan(wiring: Wiring) -> tuple[ServicePlan, ...]:
        return tuple(
            replace(
                one,
                environment={**one.environment, **more},
                command=_command(run, one),
            )
            for one in plan_services(wiring)
            if one.name.partition(".")[0] in services
        )

    return plan


def _command(run: Run, plan: ServicePlan) -> tuple[str, ...]:
    """The service's own command, or the same under the sampler."""
    if run.profiles is None:
        return plan.command
    place = run.profiles.folder / f"{plan.name}.json"
    return (sys.executable, "-m", "bench.sampled", str(place), *plan.command[3:])


class Watcher:
    """Counts provisioned resources, as any consumer of Kafka could."""

    def __init__(self, bootstrap: str) -> None:
        """Read from where the facts end now."""
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        self._reading: asyncio.Task[None] | None = None
        self._more = asyncio.Event()
        self.seen: dict[str, float] = {}
        """When the fact about each operation was seen, by the event loop's clock."""

    @asynccontextmanager
    async def watching(self) -> AsyncIterator["Watcher"]:
        """Read until the end of the block."""
        await self._consumer.start()
        try:
            partitions = [
                TopicPartition(topics.FACTS_RESOURCE, number) for number in range(topics.PARTITIONS)
            ]
            self._consumer.assign(partitions)
            await self._consumer.seek_to_end(*partitions)
            self._reading = asyncio.create_task(self._read())
            yield self
        finally:
            if self._reading is not None:
                self._reading.cancel()
                await asyncio.gather(self._reading, return_exceptions=True)
            await self._consumer.stop()

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            found = await self._consumer.getmany(timeout_ms=1000)
            now = loop.time()
            for records in found.values():
                for record in records:
                    headers = dict(record.headers)
                    if headers["ce_type"] == b"busbar.resource.provisioned.v1":
                        self.seen.setdefault(headers["ce_correlationid"].decode(), now)
            self._more.set()

    async def until(self, count: int) -> None:
        """Return when ``count`` operations have succeeded."""
        async with asyncio.timeout(PATIENCE):
            while len(self.seen) < count:
                self._more.clear()
                await self._more.wait()

    async def ends(self) -> dict[Partition, int]:
        """Return the end offsets of the topics that an intent passes through."""
        partitions = [
            TopicPartition(name, number) for name in HOPS for number in range(topics.PARTITIONS)
        ]
        found = await self._consumer.end_offsets(partitions)
        return {(tp.topic, tp.partition): end for tp, end in found.items()}


async def audited(copy: AuditCopy, watcher: Watcher) -> None:
    """Return when ``copy`` has everything that was published until now."""
    ends = await watcher.ends()
    await eventually(
        lambda: copy.has(ends), within=PATIENCE, every=0.01, what="the audit of everything"
    )
