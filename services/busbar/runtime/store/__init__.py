"""The event store: append-only events, inbox, offsets, tasks and documents in one transaction."""

from busbar.runtime.store.database import STORE_AWAY, Store, open_store
from busbar.runtime.store.rows import Cause, Claim, Document, StoredEvent
from busbar.runtime.store.transaction import Transaction

__all__ = [
    "STORE_AWAY",
    "Cause",
    "Claim",
    "Document",
    "Store",
    "StoredEvent",
    "Transaction",
    "open_store",
]
