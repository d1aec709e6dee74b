"""The SQLite file: one process, private, and consistent after a kill."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from busbar.kernel.errors import ConfigurationError
from busbar.runtime.store import Document, Store, StoreTransaction, open_store
from busbar.runtime.store.engines.sqlite import SqliteDialect
from busbar.runtime.telemetry.reachability import Reachability
from busbar.testing import ManualClock
from support import eventually
from support.runtime import (
    append,
    facts_of,
)

_WRITER = """
import asyncio, sys
from pathlib import Path
from busbar.runtime.store import Cause, Document, open_store
from busbar.testing import ManualClock
from support.runtime import (
    fact,
)

async def main():
    store = await open_store(Path(sys.argv[1]), service="policy", clock=ManualClock())
    number = 0
    while True:
        number += 1
        async def body(tx):
            tx.caused_by(Cause("urn:child", str(number), "c"))
            await tx.append("a", [fact(number), fact(number)])
            await tx.append("b", [fact(number)])
            await tx.documents.put(Document(kind="k", key="last", value={"n": number}))
            await tx.inbox.advance("policy", {("t", 0): (number - 1 or None, number)})
        await store.transact(body)
        print(number, flush=True)

asyncio.run(main())
"""


async def test_a_second_process_is_refused(store: Store, tmp_path: Path) -> None:
    assert store.service == "policy"
    with pytest.raises(ConfigurationError, match="On SQLite a service runs once"):
        await open_store(tmp_path / "policy.db", service="policy", clock=ManualClock())


async def test_a_closed_store_can_be_opened_again_with_what_it_had(tmp_path: Path) -> None:
    for expected in ([], [1]):
        store = await open_store(tmp_path / "policy.db", service="policy", clock=ManualClock())
        assert await facts_of(store, "a") == expected
        if not expected:
            await append(store, "a", 1)
        await store.close()


def _modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


async def test_no_other_user_can_read_the_files(store: Store, tmp_path: Path) -> None:
    await append(store, "a", 1)
    modes = _modes(tmp_path)
    assert {"policy.db", "policy.db-wal", "policy.db-shm"} <= set(modes)
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


async def test_the_folder_of_a_store_is_made_private(tmp_path: Path) -> None:
    place = tmp_path / "home" / "policy.db"
    store = await open_store(place, service="policy", clock=ManualClock())
    await store.close()
    assert place.parent.stat().st_mode & 0o777 == 0o700


async def test_transactions_take_turns(store: Store) -> None:
    inside = 0

    async def body(tx: StoreTransaction) -> None:
        nonlocal inside
        inside += 1
        assert inside == 1
        before = await tx.documents.get("k", "count")
        await asyncio.sleep(0)
        count = before["n"] + 1 if before else 1
        await tx.documents.put(Document(kind="k", key="count", value={"n": count}))
        inside -= 1

    await asyncio.gather(*(store.transact(body) for _ in range(20)))
    async with store.reading() as tx:
        assert await tx.documents.get("k", "count") == {"n": 20}


async def test_every_commit_is_forced_to_the_disk(store: Store) -> None:
    async with store._writer.connect() as connection:
        mode = (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar()
        level = (await connection.exec_driver_sql("PRAGMA synchronous")).scalar()
    assert (mode, level) == ("wal", 2)


async def test_a_store_whose_database_cannot_be_opened_says_since_when(
    store: Store, tmp_path: Path
) -> None:
    async def nothing() -> Callable[[], None]:
        return lambda: None

    assert await store.problem() is None
    nowhere = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/nowhere/policy.db")
    lost = Store(
        service="policy",
        writer=nowhere,
        reader=nowhere,
        clock=ManualClock(),
        dialect=SqliteDialect(),
        prepare=nothing,
        reachability=Reachability("the database file", ManualClock()),
    )
    await lost.connect()
    assert "the database file is unreachable since" in str(await lost.problem())
    await lost.close()


async def test_what_was_committed_survives_kill_9_and_nothing_half_done_does(
    tmp_path: Path,
) -> None:
    place = tmp_path / "policy.db"
    said = tmp_path / "said"
    with said.open("wb") as output:
        child = subprocess.Popen(  # noqa: ASYNC220, S603 - our own, and killed
            [sys.executable, "-c", _WRITER, str(place)],
            stdout=output,
            cwd=Path(__file__).parents[2],
        )
        try:
            await eventually(lambda: said.read_bytes().count(b"\n") >= 30, within=20)
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
    printed = int(said.read_text().splitlines()[-1])
    store = await open_store(place, service="policy", clock=ManualClock())
    try:
        events = await store.events(limit=100_000)
        by_stream = sorted(events, key=lambda event: (event.stream, event.version))
        versions = {
            stream: [event.version for event in group]
            for stream, group in groupby(by_stream, key=lambda event: event.stream)
        }
        done = versions["b"][-1]
        assert done in {printed, printed + 1}  # it may be killed before it prints the last commit
        assert versions == {"a": list(range(1, 2 * done + 1)), "b": list(range(1, done + 1))}
        async with store.reading() as tx:
            assert await tx.documents.get("k", "last") == {"n": done}
            assert await tx.inbox.offsets("policy") == {("t", 0): done}
        await append(store, "a", 1)
    finally:
        await store.close()
