"""A full disk stops writing, and nothing else."""

from io import TextIOWrapper
from pathlib import Path

import pytest
from sqlalchemy import event

from busbar.runtime.store import Store, StoreUnavailable, open_store
from busbar.runtime.store.model.errors import StoreFull
from busbar.runtime.telemetry.logs import LossyStream
from busbar.testing import ManualClock
from support.runtime import append


def limit(store: Store, pages: int) -> None:
    """Let the file grow to so many pages only: SQLite then answers as on a full disk."""

    @event.listens_for(store._writer.sync_engine, "begin")
    def _limit(connection: object) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")  # type: ignore[attr-defined]  # a connection


async def test_a_store_on_a_full_disk_says_so_and_goes_on_once_there_is_space(
    tmp_path: Path,
) -> None:
    store = await open_store(tmp_path / "policy.db", service="policy", clock=ManualClock())
    try:
        await append(store, "s", 1)
        limit(store, 1)
        with pytest.raises(StoreFull, match="disk is full") as caught:
            await append(store, "s", *range(2, 2000))
        assert isinstance(caught.value, StoreUnavailable)
        assert len(await store.events(limit=5000)) == 1
        limit(store, 1_000_000)
        await append(store, "s", *range(2, 2000))
        assert len(await store.events(limit=5000)) == 1999
    finally:
        await store.close()


def test_a_log_on_a_full_disk_drops_lines_and_raises_nothing() -> None:
    raw = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115 - closed by the wrapper
    with TextIOWrapper(raw, encoding="utf-8", write_through=True) as full:
        stream = LossyStream(full)
        for _ in range(3):
            stream.write("a line\n")
            stream.flush()
        assert stream.dropped >= 3
