"""The keys of personal data are the same on SQLite and on PostgreSQL."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, closing
from datetime import timedelta
from pathlib import Path

import pytest

from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.secrets.subjects import SubjectKeys
from busbar.runtime.store import StoreUnavailable
from busbar.testing import ManualClock
from support.runtime import KEY
from support.secrets import OTHER_KEY, InSqlite, SecretPlace

ANN, BOB = "a" * 32, "b" * 32
Process = Callable[..., SubjectKeys]


@pytest.fixture
async def process(place: SecretPlace, clock: ManualClock) -> AsyncIterator[Process]:
    """Open the keys as one more process."""
    async with AsyncExitStack() as stack:

        def opened(key: bytes = KEY) -> SubjectKeys:
            keys = place.subject_keys(clock, key)
            stack.push_async_callback(keys.close)
            return keys

        yield opened


async def test_a_subject_has_one_key_for_every_process(process: Process) -> None:
    keys, other = process(), process()
    assert await keys.find([ANN]) == {}
    made = await keys.ensure([ANN, BOB])
    assert made[ANN] != made[BOB]
    assert await other.ensure([BOB, ANN]) == made
    assert await process().find([ANN]) == {ANN: made[ANN]}
    assert await keys.subject_of("Ann") == await other.subject_of("ann ")


async def test_processes_that_need_a_key_at_the_same_time_get_the_same_one(
    process: Process,
) -> None:
    processes = [process() for _ in range(4)]
    both = [[ANN, BOB], [BOB, ANN]]
    made = await asyncio.gather(*(keys.ensure(both[n % 2]) for n, keys in enumerate(processes)))
    assert made == [made[0]] * 4
    named = await asyncio.gather(*(keys.subject_of("ann") for keys in processes))
    assert len(set(named)) == 1


async def test_an_erased_key_is_gone_from_the_table_and_for_every_process(
    process: Process, place: SecretPlace
) -> None:
    keys, other = process(), process()
    kept = (await keys.ensure([ANN, BOB]))[BOB]
    assert await keys.erase(ANN, operation="op-1")
    assert await other.find([ANN, BOB]) == {BOB: kept}
    rows = {row[0]: row for row in await place.rows("subjects")}
    assert None in rows[ANN]
    assert None not in rows[BOB][:4]


async def test_an_erased_key_is_in_no_file_of_sqlite(tmp_path: Path, clock: ManualClock) -> None:
    place = InSqlite(tmp_path)
    keys, other = place.subject_keys(clock), place.subject_keys(clock)
    await keys.ensure([ANN, BOB])
    await other.find([ANN])
    sealed = {row[0]: row[2] for row in await place.rows("subjects")}
    assert sealed[ANN] in _bytes(place)
    await keys.erase(ANN, operation="op-1")
    assert sealed[ANN] not in _bytes(place)
    assert sealed[BOB] in _bytes(place)
    await keys.close()
    await other.close()


def _bytes(place: InSqlite) -> bytes:
    files = sorted(place.file.parent.glob(f"{place.file.name}*"))
    return b"".join(file.read_bytes() for file in files)


async def test_an_erasure_whose_trace_cannot_be_removed_yet_is_repeated(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pragmas = ("busy_timeout=0", "journal_mode=WAL")
    monkeypatch.setattr("busbar.runtime.store.engines.sqlite._PRAGMAS", pragmas)
    place = InSqlite(tmp_path)
    keys = place.subject_keys(clock)
    await keys.ensure([ANN])
    sealed = {row[0]: row[2] for row in await place.rows("subjects")}[ANN]
    with closing(sqlite3.connect(place.file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM subjects").fetchone() == (1,)
        with pytest.raises(StoreUnavailable, match="in use"):
            await keys.erase(ANN, operation="op-1")
        assert await keys.find([ANN]) == {}
        reader.execute("COMMIT")
    assert await keys.erase(ANN, operation="op-1")
    assert sealed not in _bytes(place)
    await keys.close()


async def test_an_erasure_that_is_repeated_says_the_same_and_keeps_what_came_since(
    process: Process, clock: ManualClock
) -> None:
    keys = process()
    first = await keys.ensure([ANN])
    assert await keys.erase(ANN, operation="op-1")
    assert await process().erase(ANN, operation="op-1")
    assert not await keys.erase(ANN, operation="op-2")
    assert not await keys.erase(BOB, operation="op-3")
    clock.advance(1)
    second = await keys.ensure([ANN])
    assert second != first
    assert await keys.erase(ANN, operation="op-1"), "the same operation, handled again"
    assert await keys.find([ANN]) == second
    assert await keys.erase(ANN, operation="op-4")
    assert await keys.find([ANN]) == {}


async def test_what_was_written_before_an_erasure_gets_a_key_that_is_not_kept(
    process: Process, clock: ManualClock
) -> None:
    keys = process()
    written = clock.now()
    before = await keys.ensure([ANN], at=written)
    clock.advance(1)
    await keys.erase(ANN, operation="op-1")
    late = await keys.ensure([ANN], at=written)
    assert late != before
    assert await keys.ensure([ANN], at=written) != late
    assert await keys.find([ANN]) == {}
    clock.advance(1)
    since = await keys.ensure([ANN], at=clock.now())
    assert await keys.find([ANN]) == since
    assert await keys.ensure([ANN], at=written + timedelta(seconds=0.5)) != since


async def test_one_of_many_erasures_at_the_same_time_finds_the_key(process: Process) -> None:
    processes = [process() for _ in range(4)]
    await processes[0].ensure([ANN])
    found = await asyncio.gather(
        *(keys.erase(ANN, operation=f"op-{n}") for n, keys in enumerate(processes))
    )
    assert sorted(found) == [False, False, False, True]


async def test_rekeying_keeps_every_key_and_every_pseudonym(
    process: Process, place: SecretPlace
) -> None:
    old = process()
    keys, named = await old.ensure([ANN, BOB]), await old.subject_of("ann")
    await old.erase(BOB, operation="op-1")
    with pytest.raises(ConfigurationError, match="another data key"):
        await process(OTHER_KEY).find([ANN])
    async with place.store(OTHER_KEY) as store:
        for _ in range(2):
            await store.rekey(Cipher(KEY))
    new = process(OTHER_KEY)
    assert await new.find([ANN, BOB]) == {ANN: keys[ANN]}
    assert await new.subject_of("ann") == named
    assert await new.erase(BOB, operation="op-1")
    with pytest.raises(ConfigurationError, match="another data key"):
        await old.find([ANN])
