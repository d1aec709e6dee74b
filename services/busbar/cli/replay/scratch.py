"""The state that follows from the facts in the audit log, folded into a temporary store."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from busbar.kernel.clock import format_time, parse_time
from busbar.messages.base import Fact
from busbar.messages.catalogue import BY_TYPE
from busbar.messages.topics import FACTS_RESOURCE
from busbar.messages.views import OperationView, ResourceView, evolve_operation, evolve_resource
from busbar.runtime.store import Document, Store, StoreTransaction, Transaction
from busbar.sdk import AuditRecord

Kind = Literal["resource", "operation"]
Item = tuple[Kind, str]
"""The kind and id of a view."""

KINDS: tuple[Kind, ...] = ("resource", "operation")
_CONSUMER = "replay"
_PAGE_SIZE = 500


@dataclass(slots=True)
class Counts:
    """The number of records, facts and unreadable records in the log."""

    records: int = 0
    facts: int = 0
    unreadable: int = 0


class ScratchState:
    """Folds facts, each once, and returns the views that result."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.counts = Counts()

    async def fold(self, records: Iterable[AuditRecord]) -> None:
        """Fold the facts among ``records``, which continue the log after those before."""
        found = list(records)

        async def body(tx: StoreTransaction) -> None:
            facts: dict[tuple[str, str], tuple[AuditRecord, Fact]] = {}
            for record in found:
                fact = self._fact(record)
                if fact is not None:
                    # A relay that was killed publishes again: the first record counts.
                    facts.setdefault((record.source or "", record.id or ""), (record, fact))
            seen = await tx.inbox.first_seen(_CONSUMER, dict.fromkeys(facts, ""))
            for identity, (record, fact) in facts.items():
                if seen[identity] is None:
                    self.counts.facts += 1
                    await _fold(record, fact, tx)

        await self._store.transact(body)

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

    async def views(self) -> AsyncIterator[tuple[Item, Mapping[str, Any]]]:
        """Iterate over every replayed view."""
        for kind in KINDS:
            after: str | None = None
            while True:
                async with self._store.reading() as tx:
                    page = await tx.documents.find(kind, after=after, limit=_PAGE_SIZE)
                for document in page:
                    yield (kind, document.key), document.value
                if len(page) < _PAGE_SIZE:
                    break
                after = page[-1].rank


async def _fold(record: AuditRecord, fact: Fact, tx: Transaction) -> None:
    time = format_time(parse_time(record.time)) if record.time else ""
    operation, resource = fact.operation_id, fact.resource_id
    if operation is not None:
        known = await tx.documents.get("operation", operation)
        before = OperationView.model_validate(known) if known else None
        await _save(tx, "operation", evolve_operation(before, fact, time=time))
    if resource is not None and record.topic == FACTS_RESOURCE:
        known = await tx.documents.get("resource", resource)
        state = ResourceView.model_validate(known) if known else None
        await _save(tx, "resource", evolve_resource(state, fact, time=time))


async def _save(tx: Transaction, kind: Kind, view: OperationView | ResourceView | None) -> None:
    if view is not None:
        value = view.model_dump(mode="json")
        await tx.documents.put(Document(kind=kind, key=view.id, rank=view.id, value=value))
