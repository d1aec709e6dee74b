"""The family ``request``: intents that change no resource, once policy has allowed them."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from busbar.messages import topics
from busbar.messages.base import EXAMPLE_INTENT, EXAMPLE_OPERATION, Fact, IntentRef, JsonObject
from busbar.messages.caller import Caller


class RequestAllowed(Fact):
    """An intent that changes no resource is allowed; the service that it is for carries it out."""

    TYPE: ClassVar[str] = "busbar.request.allowed.v1"
    TOPIC: ClassVar[str] = topics.FACTS_REQUEST
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            "operation": EXAMPLE_OPERATION,
            "intent": {**EXAMPLE_INTENT, "type": "busbar.subscription.delete.v1"},
            "requested": {"team": "payments", "name": "orders-done"},
            "about": "payments/orders-done",
        },
    )

    operation: UUID
    intent: IntentRef
    caller: Caller | None = None
    requested: JsonObject = Field(description="The intent's data, as received.")
    about: str = Field(description="What it is about; order is kept per value.")
