"""The documented backups of PostgreSQL, taken while services write, and restored."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from busbar.kernel.errors import ConfigurationError
from busbar.runtime.store import Cause, Store, StoredEvent, StoreTransaction
from busbar.testing import ManualClock
from support import eventually
from support.pages import ROOT, run, under
from support.postgres import ADMIN, find_programs, running_postgres
from support.postgres_store import StoreCluster
from support.runtime import (
    SOURCE,
    append,
    fact,
)

PAGE = ROOT / "docs" / "how-to" / "back-up-and-restore.md"
MAKE_SLOT, RECEIVE, WAIT_FOR_IT = under(PAGE, "### Receive the log", "sh")
(BACK_UP,) = under(PAGE, "### Back up", "sh")
RESTORE, TO_THE_END, UNTIL = under(PAGE, "### Restore", "sh")
(MOVE_OFFSET,) = under(PAGE, "## Offsets that Kafka does not have", "sql")
IS_STANDBY = 'psql --dbname postgres --tuples-only --command "SELECT pg_is_in_recovery()"'
MANY_TRANSACTIONS = """
DO $$ BEGIN FOR i IN 1..5000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$
"""
IN_CONTAINERS = re.compile(r"exec -T postgres (?P<back_up>pg_basebackup .+) > store\.tar")
UNPACK = re.compile(r"busbar_postgres:/to \S+ (?P<unpack>tar .+) < store\.tar")


class Cluster(StoreCluster):
    """A cluster, and a shell of the account that owns it."""

    def environment(self) -> dict[str, str]:
        folder, url = self.server.folder, self.server.url()
        return {
            "PATH": str(find_programs()),
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.server.port),
            "PGUSER": ADMIN,
            "PGPASSWORD": url.split(":")[2].split("@")[0],
            "PGDATA": str(self.server._data),
            "BACKUP": str(folder / "backup"),
            "WAL": str(folder / "wal"),
        }

    def shell(self, commands: str, **more: str) -> str:
        """Run ``commands`` of the page as the account that owns the cluster."""
        options = self.server._as_account()
        environment = {**self.environment(), **more}
        return run(commands, folder=options.pop("cwd"), environment=environment, **options)

    async def run(self, commands: str, **more: str) -> str:
        return await asyncio.to_thread(self.shell, commands, **more)

    async def start(self) -> None:
        """Start the server and wait until it is no longer a standby."""
        await asyncio.to_thread(self.server.start)
        await eventually(lambda: self.shell(IS_STANDBY) == " f\n\n", within=30)

    async def events(self) -> list[StoredEvent]:
        store = await self.open(ManualClock())
        try:
            return await store.events(limit=100_000)
        finally:
            await store.close()


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    """A separate cluster, which the test destroys."""
    with running_postgres(autovacuum="off") as server:
        found = Cluster(server)
        await found.prepare()
        yield found


@asynccontextmanager
async def busy(cluster: Cluster, done: list[str]) -> AsyncIterator[None]:
    """Let several writers append without a pause; ``done`` collects the committed events."""
    store, ended = await cluster.open(ManualClock()), asyncio.Event()

    async def write(name: str) -> None:
        number = 0
        while not ended.is_set():
            number += 1
            done.extend(await append(store, f"{name}{number}", number))

    writers = [asyncio.create_task(write(name)) for name in "abc"]
    try:
        await eventually(lambda: len(done) > 30)
        yield
    finally:
        ended.set()
        await asyncio.gather(*writers)
        await store.close()


def ids(events: list[StoredEvent]) -> list[str]:
    return [event.id for event in events]


async def goes_on(cluster: Cluster) -> None:
    """Check that a restored store is writable and that its readers wait for late commits."""
    store = await cluster.open(ManualClock())
    before = ids(await store.events(limit=100_000))
    began, may_end = asyncio.Event(), asyncio.Event()
    slow = asyncio.create_task(late(store, began, may_end))
    async with asyncio.timeout(30):
        await began.wait()
    quick = await append(store, "quick after", 1)
    assert ids(await store.events(limit=100_000)) == before, "the guard does not hold"
    may_end.set()
    late_one = await slow
    assert ids(await store.events(limit=100_000)) == [*before, *late_one, *quick]
    await store.close()


async def late(store: Store, began: asyncio.Event, may_end: asyncio.Event) -> list[str]:
    async def body(tx: StoreTransaction) -> list[str]:
        tx.caused_by(Cause(SOURCE, "late after", "c"))
        made = await tx.append("late after", [fact(1)], key="k")
        await tx.flush()
        began.set()
        await may_end.wait()
        return made

    return await store.transact(body)


async def test_what_was_committed_before_a_backup_is_restored_in_its_order(
    cluster: Cluster,
) -> None:
    done: list[str] = []
    async with busy(cluster, done):
        before = list(done)
        await cluster.run(BACK_UP)
        after = len(done)
        await eventually(lambda: len(done) > after)
    written = ids(await cluster.events())
    assert sorted(written) == sorted(done)
    cluster.server.stop()
    await cluster.run(RESTORE)
    await cluster.start()
    kept = ids(await cluster.events())
    # Not a prefix: events are in the order of transactions, which overlap when the backup ends.
    assert kept == [event for event in written if event in set(kept)]
    assert set(before) <= set(kept)
    assert len(kept) < len(written)
    assert (cluster.server._data.parent / "data.lost").exists()
    await goes_on(cluster)


@pytest.fixture
def receiver() -> Iterator["list[subprocess.Popen[bytes]]"]:
    """The receivers of the log, which end with the test."""
    running: list[subprocess.Popen[bytes]] = []
    yield running
    for process in running:
        process.kill()
        process.wait()


def receive(cluster: Cluster) -> "subprocess.Popen[bytes]":
    options = cluster.server._as_account()
    environment = cluster.environment()
    options["env"] = {**environment, "PATH": f"{environment['PATH']}:{os.defpath}"}
    return subprocess.Popen(["bash", "-euc", RECEIVE], **options)  # noqa: S603, S607 - our own page


async def lose_the_machine(
    cluster: Cluster, receiver: "list[subprocess.Popen[bytes]]"
) -> tuple[list[str], str]:
    """Back up, write more and lose the cluster; return acknowledged events and a time between."""
    await cluster.run(MAKE_SLOT)
    receiver.append(receive(cluster))
    async with cluster.session(cluster.server.url()) as admin:
        await eventually(lambda: admin.fetchval("SELECT count(*) FROM pg_stat_replication"))
        await cluster.run(WAIT_FOR_IT)
        mode = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        await eventually(lambda: admin.fetchval(mode))
        done: list[str] = []
        async with busy(cluster, done):
            await cluster.run(BACK_UP)
        middle = str(await admin.fetchval("SELECT clock_timestamp()"))
        assert sorted(ids(await cluster.events())) == sorted(done)
    store = await cluster.open(ManualClock())
    for number in range(20):
        done += await append(store, f"after the backup {number}", number)
    await store.close()
    cluster.server.kill()
    receiver[0].kill()
    receiver[0].wait()
    shutil.rmtree(cluster.server._data)
    return done, middle


async def test_not_one_acknowledged_event_is_lost_with_the_log(
    cluster: Cluster, receiver: "list[subprocess.Popen[bytes]]"
) -> None:
    done, _ = await lose_the_machine(cluster, receiver)
    await cluster.run(RESTORE)
    await cluster.run(TO_THE_END)
    await cluster.start()
    assert sorted(ids(await cluster.events())) == sorted(done)
    await goes_on(cluster)


async def test_a_restore_can_stop_at_a_time(
    cluster: Cluster, receiver: "list[subprocess.Popen[bytes]]"
) -> None:
    done, middle = await lose_the_machine(cluster, receiver)
    await cluster.run(RESTORE)
    await cluster.run(TO_THE_END)
    await cluster.run(UNTIL, UNTIL=middle)
    await cluster.start()
    assert sorted(ids(await cluster.events())) == sorted(done[:-20])
    await goes_on(cluster)


async def test_the_backup_of_the_container_is_one_that_can_be_restored(cluster: Cluster) -> None:
    said = PAGE.read_text(encoding="utf-8")
    back_up, unpack = IN_CONTAINERS.search(said), UNPACK.search(said)
    assert back_up, "the page says how to back up"
    assert unpack, "and how to restore"
    done: list[str] = []
    async with busy(cluster, done):
        before = list(done)
        await cluster.run(back_up["back_up"].replace("--username postgres ", "") + " > store.tar")
    cluster.server.stop()
    await cluster.run('mv "$PGDATA" "$PGDATA.lost"; mkdir -m 700 "$PGDATA"')
    into = cluster.environment()["PGDATA"]
    await cluster.run(unpack["unpack"].replace(" /to ", f" {into} ") + " < store.tar")
    await cluster.start()
    kept = ids(await cluster.events())
    assert set(before) <= set(kept) <= set(done)
    await goes_on(cluster)


async def test_a_dump_in_a_new_cluster_is_refused_and_the_error_says_what_to_read(
    cluster: Cluster,
) -> None:
    store = await cluster.open(ManualClock())
    async with cluster.session(cluster.server.url()) as admin:
        await admin.execute(MANY_TRANSACTIONS)
    await append(store, "a", 1)
    await store.close()
    dump = "pg_dump --format custom --file dump busbar"
    await cluster.run(dump)
    with running_postgres(autovacuum="off") as server:
        new = Cluster(server)
        await new.make_roles()
        shutil.copy(cluster.server.folder / "dump", server.folder / "dump")
        (server.folder / "dump").chmod(0o644)
        await new.run("pg_restore --clean --if-exists --dbname busbar dump")
        with pytest.raises(ConfigurationError, match="loaded from a dump") as refused:
            await new.open(ManualClock())
    (named,) = re.findall(r"docs/\S+\.md", refused.value.fix)
    assert (ROOT / named) == PAGE


async def test_an_offset_can_be_moved_as_the_page_says(cluster: Cluster) -> None:
    store = await cluster.open(ManualClock())
    place = ("busbar.intents.resource", 3)

    async def read(tx: StoreTransaction) -> None:
        await tx.inbox.advance("policy", {place: (None, 7)})

    await store.transact(read)
    async with cluster.session(cluster.owner_url) as owner:
        assert await owner.execute(MOVE_OFFSET) == "UPDATE 1"
    async with store.reading() as tx:
        assert await tx.inbox.offsets("policy") == {place: 1234}
    await store.close()
