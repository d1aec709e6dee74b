"""The platform with real processes: Kafka, two PostgreSQL clusters, two instances of services."""

import asyncio
import random
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import asyncpg
import psutil
from pydantic import SecretStr

from busbar.cli.local import Database, Platform, ServicePlan, plan_services
from busbar.cli.local.kafka import KafkaServer, jars, ports
from busbar.cli.local.kafka.probe import find_java, find_maven
from busbar.cli.local.plan import Wiring
from busbar.kernel.errors import ConfigurationError
from busbar.messages import topics
from busbar.runtime.core.settings import Settings
from busbar.runtime.secrets import SecretStore, secrets_of
from busbar.sdk import Client
from faults.fire.proxy import Proxy
from support.postgres import PostgresServer
from support.postgres_store import DATABASE, PASSWORD, SERVICE, StoreCluster

LEASE = "3"
OPERATOR = "operator"
OPERATOR_PASSWORD = "for-this-run-only"  # noqa: S105 - of a cluster that lives as long as the run
INSTANCES = 2
REPLICATION = {"max_connections": "100", "wal_level": "replica", "hot_standby": "on"}


@dataclass(slots=True)
class Stage:
    """The running parts, which faults act on."""

    seed: int
    rng: random.Random
    home: Path
    kafka: KafkaServer
    store: StoreCluster
    databases: PostgresServer
    platform: Platform
    client: Client
    links: Mapping[str, Proxy]
    kills: int = 0
    pids: set[int] = field(default_factory=set)
    servers: list[PostgresServer] = field(default_factory=list)
    """Further servers to be closed at the end."""
    secrets: dict[str, SecretStr] = field(default_factory=dict)
    """Those that were put, by their references."""

    @property
    def team(self) -> str:
        """Whose resources these are."""
        return f"fire{self.seed}"

    def stored_secrets(self) -> SecretStore:
        """The platform's secrets, to be opened by ``async with``."""
        url = SecretStr(self.store.url)
        return secrets_of(Settings(_env_file=None, home=self.home, database_url=url))

    async def put_secret(
        self, reference: str, value: SecretStr, *, team: str | None = None
    ) -> None:
        """Store a secret as ``busbar secrets put`` does."""
        self.secrets[reference] = value
        async with self.stored_secrets() as store:
            await store.put(reference, value, team=team)

    def alive(self) -> dict[str, int]:
        """The processes of services that run now."""
        found = {name: pid for name, pid in self.platform.pids.items() if pid is not None}
        self.pids.update(found.values())
        return found

    async def ready(self) -> bool:
        """Return whether every process is ready."""
        states = await asyncio.to_thread(self.platform.readiness)
        self.alive()
        return all(state.ready for state in states.values())

    async def unready(self) -> dict[str, str]:
        """Return the processes that are not ready, and why."""
        states = await asyncio.to_thread(self.platform.readiness)
        return {name: state.problem for name, state in states.items() if not state.ready}


def survivors(pids: set[int]) -> set[int]:
    """Those of ``pids`` that still run."""
    left = set()
    for pid in pids:
        try:
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                left.add(pid)
        except psutil.NoSuchProcess:
            continue
    return left


@asynccontextmanager
async def stage(
    seed: int, *, links: tuple[str, ...] = (), instances: int = INSTANCES, apart: bool = False
) -> AsyncIterator[Stage]:
    """Start everything; ``links`` go through proxies: ``store``, ``broker``, ``databases``.

    ``apart`` gives each service proxies of its own to store and broker, named ``policy:store``.
    """
    folder = Path(tempfile.mkdtemp(prefix="busbar-fire-"))
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        store, databases = PostgresServer(settings=REPLICATION), _world()
        stack.callback(store.close)
        stack.callback(databases.close)
        cluster = StoreCluster(store)
        proxies = {
            "store": Proxy(lambda: cluster.server.port),
            "databases": Proxy(lambda: databases.port),
        }
        own = ports.choose(1)[0]
        proxies["broker"] = Proxy(lambda: own)
        listeners = {own: proxies["broker"]}
        for service in topics.SERVICES if apart else ():
            proxies[f"{service}:store"] = Proxy(lambda: cluster.server.port)
            mine = ports.choose(1)[0]
            proxies[f"{service}:broker"] = Proxy(lambda mine=mine: mine)  # type: ignore[misc]  # a default binds it
            listeners[mine] = proxies[f"{service}:broker"]
        for proxy in proxies.values():
            await stack.enter_async_context(proxy)
        kafka = broker_behind(folder, {port: proxy.port for port, proxy in listeners.items()})
        stack.callback(kafka.stop)
        for server in (store, databases):
            server.start()  # not from a thread: it ends with who started it
        await asyncio.to_thread(kafka.start)
        await cluster.make_roles()
        await _make_operator(databases)
        used = {name: one.port for name, one in proxies.items() if name in links or ":" in name}
        platform = _platform(folder / "home", kafka, cluster, used, instances)
        stack.callback(platform.stop)
        await asyncio.to_thread(platform.start)
        await asyncio.to_thread(platform.wait_ready)
        token = SecretStr(platform.token_file.read_text(encoding="ascii").strip())
        client = Client(platform.url, token, source=f"urn:fire:{seed}")
        await stack.enter_async_context(client)
        rng = random.Random(seed)
        made = Stage(seed, rng, platform.home, kafka, cluster, databases, platform, client, proxies)
        made.alive()
        stack.callback(_close_all, made.servers)
        url = _operator_url(used.get("databases", databases.port))
        await made.put_secret("secret:postgres-cluster", url)
        yield made
        await asyncio.to_thread(platform.stop)


def _close_all(servers: list[PostgresServer]) -> None:
    for server in servers:
        server.close()


def _world() -> PostgresServer:
    return PostgresServer(fsync=False, settings={"log_min_duration_statement": "0"})


def broker_behind(folder: Path, listeners: Mapping[int, int]) -> KafkaServer:
    """Return a broker in ``folder``; ``listeners`` are its ports and those that are advertised."""
    source = jars.locate(folder)
    found = jars.find(source)
    if found is None:
        maven = find_maven()
        if maven.path is None:
            raise ConfigurationError("The fault harness needs Kafka's jars.", fix=maven.fix)
        found = jars.ensure(source, maven=maven.path)
    return KafkaServer(folder / "kafka", jars=found, java=find_java(), listeners=listeners)


async def _make_operator(databases: PostgresServer) -> None:
    connection = await asyncpg.connect(databases.url())
    try:
        await connection.execute(
            f"CREATE ROLE {OPERATOR} LOGIN CREATEDB CREATEROLE PASSWORD '{OPERATOR_PASSWORD}'"
        )
    finally:
        await connection.close()


def _operator_url(port: int) -> SecretStr:
    return SecretStr(f"postgresql://{OPERATOR}:{OPERATOR_PASSWORD}@127.0.0.1:{port}/postgres")


def _platform(
    home: Path, kafka: KafkaServer, cluster: StoreCluster, used: Mapping[str, int], instances: int
) -> Platform:
    def environment(service: str) -> dict[str, str]:
        found = {
            "BUSBAR_LEASE_SECONDS": LEASE,
            "BUSBAR_LOG_LEVEL": "INFO",
            "BUSBAR_UNSIGNED_INTENTS": "accept",
        }
        if broker := used.get(f"{service}:broker", used.get("broker")):
            found["KAFKA_BOOTSTRAP_SERVERS"] = f"127.0.0.1:{broker}"
        if store := used.get(f"{service}:store", used.get("store")):
            place = f"127.0.0.1:{store}/{DATABASE}"
            found["BUSBAR_DATABASE_URL"] = f"postgresql://{SERVICE}:{PASSWORD}@{place}"
        return found

    def plan(wiring: Wiring) -> tuple[ServicePlan, ...]:
        return tuple(
            replace(one, environment={**one.environment, **environment(one.name.split(".")[0])})
            for one in plan_services(wiring)
        )

    return Platform(
        home,
        bootstrap=kafka.bootstrap,
        database=Database(url=SecretStr(cluster.url), owner_url=SecretStr(cluster.owner_url)),
        instances=instances,
        services=plan,
    )


def fresh(prefix: str) -> str:
    """Return a unique name."""
    return f"{prefix}-{secrets.token_hex(3)}"
