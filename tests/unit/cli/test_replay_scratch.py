"""The scratch store of a replay: both sides are compared block by block, however many they are."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar.cli.replay import scratch
from busbar.cli.replay.scratch import ScratchState
from busbar.kernel.canonical import digest
from busbar.messages.views import OperationView
from busbar.runtime.store import Document, Store, StoreTransaction, open_store
from busbar.sdk import AuditRecord
from busbar.testing import ManualClock
from support.history import History, operation_of, resource_of

_IDS = st.sets(st.integers(0, 40), max_size=20)


async def replay_views(store: Store, numbers: set[int], *, detail: str) -> None:
    async def body(tx: StoreTransaction) -> None:
        await tx.documents.put_all(
            [
                Document(kind="operation", key=view.id, rank=view.id, value=view.model_dump())
                for view in views(numbers, detail)
            ]
        )

    await store.transact(body)


def views(numbers: set[int], detail: str) -> list[OperationView]:
    return [OperationView(id=f"o-{n:03d}", status="running", detail=detail) for n in numbers]


@settings(max_examples=25, deadline=None)
@given(_IDS, _IDS, _IDS, st.integers(1, 7))
async def test_every_item_of_either_side_is_in_exactly_one_block(
    same: set[int], replayed: set[int], live: set[int], block: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(scratch, "BLOCK", block)
        store = await open_store(Path(folder) / "s.db", service="replay", clock=ManualClock())
        state = ScratchState(store)
        await replay_views(store, replayed, detail="other")
        await replay_views(store, same, detail="")
        await state.set_live("operation", views(live | same, ""))
        blocks = [found async for found in state.blocks()]
        await store.close()
    pairs = [pair for found in blocks for pair in found]
    assert [pair.item[1] for pair in pairs] == [
        f"o-{n:03d}" for n in sorted(same | replayed | live)
    ]
    assert max(map(len, blocks), default=0) <= 2 * block
    for pair in pairs:
        number = int(pair.item[1][2:])
        assert (pair.live is None) is (number not in live | same)
        assert (pair.replayed is None) is (number not in replayed | same)
        assert (pair.replayed == pair.live) is (number in same)


async def test_a_long_history_folds_to_what_the_gateway_shows_whatever_is_kept_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(3, 40)
    records = [
        AuditRecord(
            cursor=str(number),
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            type=envelope.type,
            id=envelope.id,
            source=envelope.source,
            time=envelope.time.isoformat() if envelope.time else None,
            data=envelope.data,
        )
        for number, (record, envelope) in enumerate(history.records(), 1)
    ]
    found: list[dict[str, str]] = []
    for cached, page in ((2000, 500), (0, 7), (5, 50)):
        monkeypatch.setattr(scratch, "CACHED_VIEWS", cached)
        path = tmp_path / f"{cached}.db"
        store = await open_store(path, service="replay", clock=ManualClock())
        state = ScratchState(store)
        for first in range(0, len(records), page):
            await state.fold(records[first : first + page])
            assert len(state._views) <= cached + 2 * page
        await state.fold(records[-5:])  # again
        assert (state.counts.facts, state.counts.records) == (history.facts + 3, history.size + 5)
        blocks = [block async for block in state.blocks()]
        found.append({pair.item[1]: str(pair.replayed) for block in blocks for pair in block})
        view = await state.view(("operation", operation_of(2, 40)))
        assert view is not None
        assert view["status"] == "succeeded"
        assert found[-1][view["id"]] == digest(dict(view))
        await store.close()
    assert found[0] == found[1] == found[2]
    assert resource_of(2) in found[0]
    assert len(found[0]) == history.operations + history.resources
