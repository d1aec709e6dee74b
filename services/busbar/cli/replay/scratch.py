"""The state that follows from the facts in the audit log, folded into a temporary store."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from busbar.kernel.canonical import digest
from busbar.kernel.clock import format_time, parse_time
from busbar.messages.base import Fact
from busbar.messages.catalogue import BY_TYPE
from busbar.messages.topics import FACTS_RESOURCE
from busbar.messages.views import OperationView, ResourceView, evolve_operation, evolve_resource
from busbar.runtime.store import Document, Store, StoreTransaction
from busbar.sdk import AuditRecord

Kind = Literal["resource", "operation"]
Item = tuple[Kind, str]
"""The kind and id of a view."""

View = OperationView | ResourceView
KINDS: tuple[Kind, ...] = ("resource", "operation")
_MODELS: Mapping[Kind, type[View]] = {"resource": ResourceView, "operation": OperationView}
_CONSUMER = "replay"
_LIVE = "live-"
"""Prefix of the kind of documents with the digests of live views."""

BLOCK = 500
"""Items that are compared together."""

CACHED_VIEWS = 2000


@dataclass(slots=True)
class Counts:
    """The number of records, facts and unreadable records in the log."""

    records: int = 0
    facts: int = 0
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """The digests of one item on both sides; None where it is missing."""

    item: Item
    replayed: str | None
    live: str | None


class ScratchState:
    """Folds facts, each once, and keeps the views that result beside the digests of live ones.

    Everything is in the temporary store; memory holds some views that were used lately.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._views: dict[Item, View] = {}
        self.counts = Counts()

    async def fold(self, records: Iterable[AuditRecord]) -> None:
        """Fold the facts among ``records``, which continue the log after those before."""
        facts: dict[tuple[str, str], tuple[AuditRecord, Fact]] = {}
        for record in records:
            fact = self._fact(record)
            if fact is not None:
                # A relay that was killed publishes again: the first record counts.
                facts.setdefault((record.source or "", record.id or ""), (record, fact))

        async def body(tx: StoreTransaction) -> None:
            seen = await tx.inbox.first_seen(_CONSUMER, dict.fromkeys(facts, ""))
            new = [facts[identity] for identity in facts if seen[identity] is None]
            await self._fold(new, tx)
            self.counts.facts += len(new)

        await self._store.transact(body)

    async def _fold(self, new: Sequence[tuple[AuditRecord, Fact]], tx: StoreTransaction) -> None:
        if len(self._views) > CACHED_VIEWS:
            self._views.clear()
        changes = [(record, fact, _items(record, fact)) for record, fact in new]
        touched = {item: None for _, _, items in changes for item in items}
        for kind in KINDS:
            missing = [id_ for k, id_ in touched if k == kind and (kind, id_) not in self._views]
            for id_, value in (await tx.documents.get_all(kind, missing)).items():
                self._views[kind, id_] = _MODELS[kind].model_validate(value)
        for record, fact, items in changes:
            self._evolve(record, fact, items)
        await tx.documents.put_all(
            [
                _document(item[0], item[1], self._views[item].model_dump(mode="json"))
                for item in touched
                if item in self._views
            ]
        )

    def _evolve(self, record: AuditRecord, fact: Fact, items: Sequence[Item]) -> None:
        time = format_time(parse_time(record.time)) if record.time else ""
        for item in items:
            known = self._views.get(item)
            after: View | None
            if item[0] == "operation":
                before = known if isinstance(known, OperationView) else None
                after = evolve_operation(before, fact, time=time)
            else:
                state = known if isinstance(known, ResourceView) else None
                after = evolve_resource(state, fact, time=time)
            if after is not None:
                self._views[item] = after

    def _fact(self, record: AuditRecord) -> Fact | None:
        self.counts.records += 1
        model = BY_TYPE.get(record.type or "")
        if not record.readable:
            self.counts.unreadable += 1
        if not record.readable or model is None or not issubclass(model, Fact):
            return None
        try:
            return model.model_validate(record.data)
        except ValidationError:
            self.counts.unreadable += 1
            return None

    async def view(self, item: Item) -> Mapping[str, Any] | None:
        """Return the replayed view of ``item``; None if there is none."""
        async with self._store.reading() as tx:
            return await tx.documents.get(*item)

    async def set_live(self, kind: Kind, views: Sequence[View]) -> None:
        """Keep the digests of ``views``, which are live."""
        found = [
            _document(_LIVE + kind, view.id, {"digest": digest(view.model_dump(mode="json"))})
            for view in views
        ]

        async def body(tx: StoreTransaction) -> None:
            await tx.documents.put_all(found)

        await self._store.transact(body)

    async def blocks(self) -> AsyncIterator[list[Pair]]:
        """Iterate over the items of both sides by kind and id, in blocks."""
        for kind in KINDS:
            after: str | None = None
            while block := await self._block(kind, after):
                yield block
                after = block[-1].item[1]

    async def _block(self, kind: Kind, after: str | None) -> list[Pair]:
        async with self._store.reading() as tx:
            replayed = await tx.documents.find(kind, after=after, limit=BLOCK)
            live = await tx.documents.find(_LIVE + kind, after=after, limit=BLOCK)
        # What follows the end of a full page is not known to be missing.
        end = min((page[-1].key for page in (replayed, live) if len(page) == BLOCK), default=None)
        views = {found.key: digest(dict(found.value)) for found in replayed}
        digests = {found.key: str(found.value["digest"]) for found in live}
        return [
            Pair((kind, id_), views.get(id_), digests.get(id_))
            for id_ in sorted(views.keys() | digests.keys())
            if end is None or id_ <= end
        ]


def _items(record: AuditRecord, fact: Fact) -> list[Item]:
    """Return the views that ``fact`` may change."""
    operation, resource = fact.operation_id, fact.resource_id
    found: list[Item] = []
    if operation is not None:
        found.append(("operation", operation))
    if resource is not None and record.topic == FACTS_RESOURCE:
        found.append(("resource", resource))
    return found


def _document(kind: str, id_: str, value: Mapping[str, Any]) -> Document:
    return Document(kind=kind, key=id_, rank=id_, value=value)
