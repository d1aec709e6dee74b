"""The event store: append-only events, inbox, offsets, tasks and documents in one transaction."""

from busbar.runtime.store.engines.open import open_store
from busbar.runtime.store.model.rows import Cause, Claim, Document, StoredEvent
from busbar.runtime.store.sql.dialect import Collision, StoreUnavailable
from busbar.runtime.store.store import STORE_AWAY, Store
from busbar.runtime.store.transaction import Transaction

__all__ = [
    "STORE_AWAY",
    "Cause",
    "Claim",
    "Collision",
    "Document",
    "Store",
    "StoreUnavailable",
    "StoredEvent",
    "Transaction",
    "open_store",
]
