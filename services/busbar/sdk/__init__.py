"""The Python client: publish intents, follow operations, read facts and explanations.

::

    async with Client() as client:
        receipt = await client.apply("payments/dev/event-stream/orders", {"partitions": 3})
        operation = await client.wait(receipt.operation, timeout=60)

Every error is a :class:`~busbar.kernel.errors.BusbarError`::

    InvalidIntent   the intent or event is invalid; nothing was sent
    GatewayProblem  the gateway refused with an RFC 9457 problem
    Unreachable     no response came, in any attempt
    StillRunning    an operation did not end in time; it continues

    ConfigurationError   no platform or no token was found, or one of them cannot be used
"""

from busbar.kernel.errors import ConfigurationError
from busbar.messages.http import (
    AuditPage,
    AuditRecord,
    Completeness,
    DeadLetter,
    DecryptedDeadLetter,
    FactItem,
    Progress,
    PromiseView,
    RelayView,
    Sentence,
)
from busbar.messages.principals import KeyView, PrincipalView
from busbar.messages.signing import SigningKey
from busbar.messages.signing import sign as sign_record
from busbar.messages.views import OperationView, ResourceView
from busbar.messages.webhooks import AttemptView, DeliveryView, SubscriptionView
from busbar.sdk.client import Client
from busbar.sdk.conversion import from_cloudevent, to_cloudevent
from busbar.sdk.errors import GatewayProblem, InvalidIntent, StillRunning, Unreachable
from busbar.sdk.facts import ReceivedFact
from busbar.sdk.ids import derived_id, fresh_id
from busbar.sdk.key_token import KeyToken
from busbar.sdk.receipt import Receipt
from busbar.sdk.retry import RetryPolicy

__all__ = [
    "AttemptView",
    "AuditPage",
    "AuditRecord",
    "Client",
    "Completeness",
    "ConfigurationError",
    "DeadLetter",
    "DecryptedDeadLetter",
    "DeliveryView",
    "FactItem",
    "GatewayProblem",
    "InvalidIntent",
    "KeyToken",
    "KeyView",
    "OperationView",
    "PrincipalView",
    "Progress",
    "PromiseView",
    "Receipt",
    "ReceivedFact",
    "RelayView",
    "ResourceView",
    "RetryPolicy",
    "Sentence",
    "SigningKey",
    "StillRunning",
    "SubscriptionView",
    "Unreachable",
    "derived_id",
    "fresh_id",
    "from_cloudevent",
    "sign_record",
    "to_cloudevent",
]
