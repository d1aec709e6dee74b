"""Waiting for calls that were not answered, and that a backend may still carry out."""

from typing import ClassVar

from pydantic import AwareDatetime

from busbar.messages import topics
from busbar.messages.base import (
    EXAMPLE_INTENT,
    EXAMPLE_OPERATION,
    EXAMPLE_RESOURCE,
    IntentRef,
    JsonObject,
    OperationFact,
    Slug,
)


class ResourceDelayed(OperationFact):
    """An operation is done, and waits until no unanswered call may still be carried out.

    Then it looks again, and corrects what such a call has changed.
    """

    TYPE: ClassVar[str] = "busbar.resource.delayed.v1"
    TOPIC: ClassVar[str] = topics.FACTS_RESOURCE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            "operation": EXAMPLE_OPERATION,
            "resource": EXAMPLE_RESOURCE,
            "intent": EXAMPLE_INTENT,
            "generation": 1,
            "step": "topic",
            "until": "2026-01-01T00:01:00Z",
        },
    )

    intent: IntentRef
    generation: int
    step: Slug
    until: AwareDatetime
