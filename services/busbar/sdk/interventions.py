"""The client's part for people who settle what the platform cannot settle by itself."""

from abc import ABC, abstractmethod

from busbar.kernel.resource import ResourceId
from busbar.messages.base import Intent
from busbar.messages.intervention import AbandonOperation, ReleaseResource, RetryOperation
from busbar.sdk import events
from busbar.sdk.receipt import Receipt


class Interventions(ABC):
    """Publishes the intents to retry or abandon an operation and to release a resource."""

    @abstractmethod
    async def send(
        self, intent: Intent, *, event_id: str | None = None, key: str | None = None
    ) -> Receipt:
        """Publish ``intent``."""

    async def retry_operation(
        self,
        resource: str | ResourceId,
        operation: str,
        *,
        event_id: str | None = None,
        key: str | None = None,
    ) -> Receipt:
        """Publish the intent to try a stuck ``operation`` of ``resource`` again now."""
        data = {**events.resource_parts(resource), "operation": operation}
        intent = events.intent_of(RetryOperation, data)
        return await self.send(intent, event_id=event_id, key=key)

    async def abandon_operation(
        self,
        resource: str | ResourceId,
        operation: str,
        *,
        event_id: str | None = None,
        key: str | None = None,
    ) -> Receipt:
        """Publish the intent to end an ``operation`` of ``resource`` as failed; nothing is undone.

        What exists then is in the operation's ``detail`` and in the fact
        ``busbar.resource.failed.v1``.
        """
        data = {**events.resource_parts(resource), "operation": operation}
        intent = events.intent_of(AbandonOperation, data)
        return await self.send(intent, event_id=event_id, key=key)

    async def release(
        self,
        resource: str | ResourceId,
        *,
        event_id: str | None = None,
        key: str | None = None,
    ) -> Receipt:
        """Publish the intent to forget ``resource`` without deleting what exists of it."""
        intent = events.intent_of(ReleaseResource, events.resource_parts(resource))
        return await self.send(intent, event_id=event_id, key=key)
