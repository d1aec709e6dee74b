"""The documented backups of SQLite files, taken while a service writes, and restored."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from pydantic import SecretStr

from busbar.kernel.errors import ConfigurationError
from busbar.messages.topics import SERVICES
from busbar.runtime.core.settings import Settings
from busbar.runtime.secrets import secrets_of
from busbar.runtime.store import Cause, Store, StoreTransaction, open_store
from busbar.testing import ManualClock
from support import eventually
from support.pages import ROOT, run, under
from support.runtime import (
    SOURCE,
    append,
    fact,
    facts_of,
)

PAGE = ROOT / "docs" / "how-to" / "back-up-and-restore.md"
STOP, START, COPY, PUT_BACK = under(PAGE, "## Without a database", "sh")
PLACE = ("busbar.intents.resource", 0)
WEBHOOK = "secret:payments"


def test_the_copy_has_the_store_of_every_service_and_policy_comes_last() -> None:
    names = re.findall(r'"(\w+)"', COPY.partition("for name in (")[2].partition(")")[0])
    assert set(names) == {"secrets", *SERVICES}
    assert names[-1] == "policy"


async def consume(store: Store, number: int) -> None:
    """Handle one record as the engine does: inbox, offset and event in one transaction."""

    async def body(tx: StoreTransaction) -> None:
        identity = (SOURCE, f"intent-{number}")
        assert (await tx.inbox.first_seen("policy", {identity: "d"}))[identity] is None
        before = number or None
        await tx.inbox.advance("policy", {PLACE: (before, number + 1)})
        tx.caused_by(Cause(*identity, "c"))
        await tx.append(f"s{number % 7}", [fact(number)], key="k")

    await store.transact(body)


@asynccontextmanager
async def busy(store: Store, done: list[int]) -> AsyncIterator[None]:
    """Write to ``store`` without a pause; ``done`` collects the committed records."""
    ended = asyncio.Event()

    async def write() -> None:
        while not ended.is_set():
            await consume(store, len(done))
            done.append(len(done))

    writing = asyncio.create_task(write())
    try:
        await eventually(lambda: len(done) > 20)
        yield
    finally:
        ended.set()
        await writing


@pytest.fixture(params=["default", "link", "elsewhere"])
def home(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A home: `.busbar`, a link of that name, or a folder that BUSBAR_HOME names."""
    folder = tmp_path / ".busbar"
    if request.param == "elsewhere":
        folder = tmp_path / "deep" / "the home"
        folder.parent.mkdir()
    if request.param == "link":
        (tmp_path / "linked").mkdir(mode=0o700)
        folder.symlink_to("linked")
    else:
        folder.mkdir(mode=0o700)
    (folder / "token").write_text("token", encoding="ascii")
    (folder / "principals.yaml").write_text("busbar: principals/v1", encoding="ascii")
    (folder / "keys").mkdir(mode=0o700)
    (folder / "keys" / "policy.pem").write_text("private", encoding="ascii")
    (folder / "kafka").mkdir()
    (folder / "kafka" / "records").write_text("newer than the copy", encoding="ascii")
    return folder


async def opened(home: Path) -> Store:
    return await open_store(home / "policy.db", service="policy", clock=ManualClock())


def open_to_others(folder: Path) -> list[str]:
    """Return the paths in ``folder`` that other accounts may read."""
    found = (folder, *folder.glob("*.db"), *folder.glob("data.key"))
    return [str(path) for path in found if path.stat().st_mode & 0o077]


def environment(tmp_path: Path, home: Path) -> dict[str, str]:
    named = {} if home.name == ".busbar" else {"BUSBAR_HOME": str(home)}
    return {"BACKUP": str(tmp_path / "backup"), "HOME": str(tmp_path), **named}


async def test_a_copy_that_is_taken_while_a_service_writes_is_one_state_of_it(
    tmp_path: Path, home: Path
) -> None:
    store, done = await opened(home), list[int]()
    (home / "data.key").touch(mode=0o600)
    async with busy(store, done):
        before = len(done)
        said = await asyncio.to_thread(
            run, COPY, folder=tmp_path, environment=environment(tmp_path, home)
        )
        after = len(done)
        await eventually(lambda: len(done) > after)
    assert said == "policy ok\n"
    written = [event.id for event in await store.events(limit=10_000)]
    await store.close()
    run(PUT_BACK, folder=tmp_path, environment=environment(tmp_path, home))

    restored = await opened(home)
    kept = [event.id for event in await restored.events(limit=10_000)]
    assert before <= len(kept) < len(written)
    assert kept == written[: len(kept)]
    with closing(sqlite3.connect(home / "policy.db")) as file:
        ((inbox, offset),) = file.execute(
            "SELECT (SELECT count(*) FROM inbox), (SELECT next_offset FROM offsets)"
        )
    assert (inbox, offset) == (len(kept), len(kept))
    for number in range(len(kept), len(kept) + 5):
        await consume(restored, number)
    assert len(await restored.events(limit=10_000)) == len(kept) + 5
    await restored.close()
    assert (home / "kafka" / "records").read_text(encoding="ascii") == "newer than the copy"
    assert (home / "token").read_text(encoding="ascii") == "token"
    assert open_to_others(tmp_path / "backup") == open_to_others(home) == []


async def test_what_is_copied_as_a_file_while_a_service_writes_lacks_the_newest(
    tmp_path: Path, home: Path
) -> None:
    """The page warns against it for this reason."""
    store, done = await opened(home), list[int]()
    async with busy(store, done):
        before = len(done)
        (tmp_path / "copy").mkdir()
        (tmp_path / "copy" / "policy.db").write_bytes((home / "policy.db").read_bytes())
    await store.close()
    copied = await opened(tmp_path / "copy")
    assert len(await copied.events(limit=10_000)) < before
    await copied.close()


async def test_a_home_that_was_stopped_is_restored_with_everything_but_its_key(
    tmp_path: Path, home: Path
) -> None:
    store = await opened(home)
    await append(store, "a", 1, 2)
    await store.close()
    settings = Settings(_env_file=None, home=home, database_url=None)
    async with secrets_of(settings) as secrets:
        await secrets.put(WEBHOOK, SecretStr("value"), team="payments")
    key = (home / "data.key").read_bytes()
    run(STOP, folder=tmp_path, environment=environment(tmp_path, home))
    assert (tmp_path / "backup.tar").stat().st_mode & 0o077 == 0
    run(START, folder=tmp_path, environment=environment(tmp_path, home))

    assert not (home / "data.key").exists()
    restored = await opened(home)
    assert await facts_of(restored, "a") == [1, 2]
    await restored.close()
    (home / "data.key").write_bytes(key)
    (home / "data.key").chmod(0o600)
    async with secrets_of(settings) as secrets:
        assert await secrets.get(WEBHOOK) == SecretStr("value")
    assert (home / "kafka" / "records").exists()


async def test_secrets_that_are_restored_without_their_key_say_so(
    tmp_path: Path, home: Path
) -> None:
    settings = Settings(_env_file=None, home=home, database_url=None)
    async with secrets_of(settings) as secrets:
        await secrets.put(WEBHOOK, SecretStr("value"), team="payments")
    run(COPY, folder=tmp_path, environment=environment(tmp_path, home))
    run(PUT_BACK, folder=tmp_path, environment=environment(tmp_path, home))
    (home / "data.key").unlink()
    async with secrets_of(settings) as secrets:
        with pytest.raises(ConfigurationError):
            await secrets.get(WEBHOOK)
