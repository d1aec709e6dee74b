"""Statements of tests, run inside a transaction of the store."""

from typing import Any

from busbar.runtime.store import StoreTransaction, Transaction


def own(tx: Transaction) -> StoreTransaction:
    """The transaction as the runtime sees it, inbox and outbox included."""
    assert isinstance(tx, StoreTransaction)
    return tx


async def run_sql(tx: Transaction, statement: Any, parameters: Any = None) -> Any:
    """The result of ``statement``, executed as part of ``tx``."""
    return await own(tx)._connection.execute(statement, parameters)
