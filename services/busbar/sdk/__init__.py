"""The Python client: publish intents, follow operations, read facts, ask why.

::

    async with Client(url, token) as client:
        accepted = await client.apply("payments/dev/event-stream/orders", {"partitions": 3})
        outcome = await client.wait(accepted.operation, timeout=60)

Everything that goes wrong on purpose is a :class:`~busbar.kernel.errors.BusbarError`::

    InvalidIntent   what was to be published is no valid intent; nothing was sent
    GatewayProblem         the gateway answered with an RFC 9457 problem
    Unreachable     no answer came, also not after trying again
    StillRunning    an operation did not end in time; it goes on
"""

from busbar.messages.http import (
    AuditPage,
    AuditRecord,
    Completeness,
    DeadLetter,
    DecryptedDeadLetter,
    FactItem,
    RelayView,
    Sentence,
)
from busbar.messages.views import OperationView, ResourceView
from busbar.sdk.client import Client
from busbar.sdk.conversion import from_cloudevent, to_cloudevent
from busbar.sdk.errors import GatewayProblem, InvalidIntent, StillRunning, Unreachable
from busbar.sdk.ids import derived_id, fresh_id
from busbar.sdk.receipt import Receipt
from busbar.sdk.retry import RetryPolicy

__all__ = [
    "AuditPage",
    "AuditRecord",
    "Client",
    "Completeness",
    "DeadLetter",
    "DecryptedDeadLetter",
    "FactItem",
    "GatewayProblem",
    "InvalidIntent",
    "OperationView",
    "Receipt",
    "RelayView",
    "ResourceView",
    "RetryPolicy",
    "Sentence",
    "StillRunning",
    "Unreachable",
    "derived_id",
    "fresh_id",
    "from_cloudevent",
    "to_cloudevent",
]
