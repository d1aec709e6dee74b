"""Long histories: what is read does not grow faster than what was asked about, nor do pages."""

from pathlib import Path

import pytest

from busbar.audit.domain import Sentence
from busbar.audit.handlers import check, explanation, records, states
from busbar.audit.handlers.history import Explained, Found
from busbar.kernel.ids import operation_id, record_operation
from busbar.messages.http import Progress
from busbar.messages.policy import IntentDenied
from busbar.messages.resource import ApplyResource
from busbar.messages.views import ResourceView
from busbar.runtime.store import Store, open_store
from busbar.testing import ManualClock
from support.history import FACTS, History, fill_audit, operation_of, resource_of
from support.statements import counting
from unit.audit.conftest import SOURCE, Bus

PER_OPERATION = len(FACTS) + 1


async def copy_of(folder: Path, history: History) -> Store:
    """A copy with ``history`` in it."""
    path = folder / f"{history.resources}-{history.generations}.db"
    store = await open_store(path, service="audit", clock=ManualClock())
    fill_audit(path, history)
    return store


async def explained(store: Store, **about: object) -> list[Sentence]:
    found = explanation(store, **about)  # type: ignore[arg-type] # the test names what it asks about
    return [item.sentence async for item in found if isinstance(item, Explained)]


async def viewed(store: Store, **about: object) -> list[ResourceView]:
    found = states(store, **about)  # type: ignore[arg-type] # as above
    return [item.view async for item in found if isinstance(item, Found)]


async def rows_read(
    store: Store, patch: pytest.MonkeyPatch, asking: object, **about: object
) -> int:
    with counting(patch) as reads:
        await asking(store, **about)  # type: ignore[operator] # one of the two above
    return reads.events


@pytest.mark.parametrize("by", ["resource", "operation"])
async def test_what_is_read_for_the_last_operation_does_not_grow_with_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    read: list[int] = []
    for generations in (2, 20, 400):
        store = await copy_of(tmp_path, History(2, generations))
        about = (
            {"resource": resource_of(1), "last": 1}
            if by == "resource"
            else {"operation": operation_of(1, generations)}
        )
        sentences = await explained(store, **about)
        assert len(sentences) == PER_OPERATION
        assert f"(intent 1-{generations})" in sentences[0].text
        read.append(await rows_read(store, monkeypatch, explained, **about))
        await store.close()
    assert read == [PER_OPERATION] * 3


async def test_what_is_read_for_a_resource_is_in_proportion_to_its_own_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for asking in (explained, viewed):
        read: dict[tuple[int, int], int] = {}
        for shape in ((1, 50), (1, 200), (8, 200)):
            store = await copy_of(tmp_path, History(*shape))
            read[shape] = await rows_read(store, monkeypatch, asking, resource=resource_of(0))
            await store.close()
            (tmp_path / f"{shape[0]}-{shape[1]}.db").unlink()
        assert read[1, 200] == 4 * read[1, 50]
        assert read[8, 200] == read[1, 200]


@pytest.mark.parametrize(("resources", "generations"), [(3, 300), (300, 3)])
async def test_everything_is_read_a_fixed_number_of_times_in_limited_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resources: int, generations: int
) -> None:
    history = History(resources, generations)
    store = await copy_of(tmp_path, history)
    with counting(monkeypatch) as reads:
        views = await viewed(store)
    assert [view.id for view in views] == sorted(map(resource_of, range(resources)))
    assert {(view.status, view.generation) for view in views} == {("ready", generations)}
    assert reads.events == history.operations * 4  # the facts about resources, once each
    assert reads.largest <= 500

    with counting(monkeypatch) as reads:
        assert len([record async for record in records(store)]) == history.size
    assert (reads.events, reads.largest) == (history.size, 500)
    await store.close()


async def test_the_operations_of_a_resource_are_explained_in_the_order_in_which_they_began(
    tmp_path: Path,
) -> None:
    store = await copy_of(tmp_path, History(2, 120))
    sentences = await explained(store, resource=resource_of(0))
    assert [one.operation for one in sentences] == [
        operation_of(0, generation) for generation in range(1, 121) for _ in range(PER_OPERATION)
    ]
    newest = await explained(store, resource=resource_of(0), last=30)
    assert newest == sentences[-30 * PER_OPERATION :]
    assert await explained(store, resource=resource_of(0), last=1000) == sentences
    await store.close()


async def test_an_explanation_continues_after_any_of_its_cursors(tmp_path: Path) -> None:
    store = await copy_of(tmp_path, History(2, 12))
    items = [
        item
        async for item in explanation(store, resource=resource_of(1))
        if isinstance(item, Explained)
    ]
    cursors = [(n, item.position) for n, item in enumerate(items, 1) if item.position is not None]
    assert len(cursors) == 12
    for number, cursor in cursors:
        rest = await explained(store, resource=resource_of(1), after=cursor)
        assert rest == [item.sentence for item in items[number:]]
    await store.close()


async def test_states_continue_after_any_resource(tmp_path: Path) -> None:
    store = await copy_of(tmp_path, History(5, 2))
    views = await viewed(store)
    for number, view in enumerate(views, 1):
        assert await viewed(store, after=view.id) == views[number:]
    await store.close()


async def test_the_check_of_a_long_history_reads_every_record_twice_and_reports_its_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(3, 250)
    store = await copy_of(tmp_path, history)
    bus = Bus(store, ManualClock())
    for record, _ in history.records():
        bus.records.append(record)
        bus._ends[record.topic, record.partition] += 1
    with counting(monkeypatch) as reads:
        found = [item async for item in check(store, bus)]
    report = found.pop()
    assert not isinstance(report, Progress)
    assert report.complete, report.problems
    assert report.compared == history.size
    assert {relay.relay: relay.stored for relay in report.relays} == {
        "gateway": 750,
        "policy": 750,
        "provisioner": 3000,
    }
    assert reads.events <= 2 * history.size
    assert reads.largest <= 500
    done = [item.done for item in found if isinstance(item, Progress) and item.total]
    assert len(done) >= 3
    await store.close()


async def test_an_intent_that_was_refused_is_not_explained_under_the_id_that_it_claims(
    tmp_path: Path,
) -> None:
    store = await open_store(tmp_path / "audit.db", service="audit", clock=ManualClock())
    bus = Bus(store, ManualClock())
    intent = ApplyResource.model_validate(ApplyResource.EXAMPLES[0])
    forged, real = bus.message(intent, "one"), bus.message(intent, "one")
    refusal = record_operation(forged.topic, forged.partition, forged.offset)
    denied = {**IntentDenied.EXAMPLES[0], "operation": str(refusal), "reason": "unsigned"}
    bus.message(IntentDenied.model_validate(denied), "denied", relay="policy")
    await bus.consume()
    claimed = str(operation_id(SOURCE, "one"))
    (shown,) = await explained(store, operation=claimed)
    assert (shown.partition, shown.offset) == (real.partition, real.offset)
    (why,) = await explained(store, operation=str(refusal))
    assert why.text.startswith("Policy denied it (unsigned)")
    await store.close()
