"""The event store: append-only events, inbox, offsets, tasks and documents in one transaction.

Handlers use :class:`Transaction`. The runtime uses :class:`StoreTransaction`, which also has the
inbox, the outbox, dead letters and parked records.
"""

from busbar.runtime.store.engines.open import open_store, store_of
from busbar.runtime.store.model.errors import Collision, StoreUnavailable
from busbar.runtime.store.model.rows import (
    ALL_KEYS,
    Cause,
    Claim,
    Document,
    KeyScope,
    StoredEvent,
)
from busbar.runtime.store.ports import Transaction
from busbar.runtime.store.store import Store
from busbar.runtime.store.transaction import StoreTransaction

__all__ = [
    "ALL_KEYS",
    "Cause",
    "Claim",
    "Collision",
    "Document",
    "KeyScope",
    "Store",
    "StoreTransaction",
    "StoreUnavailable",
    "StoredEvent",
    "Transaction",
    "open_store",
    "store_of",
]
