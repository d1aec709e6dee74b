"""Calls about webhooks: subscriptions, their deliveries, test events."""

from collections.abc import AsyncIterator
from datetime import datetime

from busbar.messages.notification import (
    ApplySubscription,
    DeleteSubscription,
    ResendDeliveries,
    SendTestEvent,
)
from busbar.messages.webhooks import DeliveryStatus, DeliveryView, SubscriptionView
from busbar.sdk import events
from busbar.sdk.calls import Calls
from busbar.sdk.reading import PAGE, present, segment, typed
from busbar.sdk.receipt import Receipt


class WebhookCalls(Calls):
    """Calls about webhooks. A ``subscription`` is named ``team/name``."""

    async def subscribe(
        self,
        subscription: str,
        *,
        url: str,
        types: tuple[str, ...],
        secret: str,
        event_id: str | None = None,
        key: str | None = None,
    ) -> Receipt:
        """Publish the intent to deliver facts to ``url``; ``subscription`` is ``team/name``.

        ``secret`` is a reference (``secret:<name>``), never the secret itself.
        """
        fields = {"url": url, "types": types, "secret": secret}
        intent = events.intent_of(
            ApplySubscription, {**events.subscription_parts(subscription), **fields}
        )
        return await self.send(intent, event_id=event_id, key=key)

    async def unsubscribe(
        self, subscription: str, *, event_id: str | None = None, key: str | None = None
    ) -> Receipt:
        """Publish the intent to remove the subscription ``team/name``."""
        intent = events.intent_of(DeleteSubscription, events.subscription_parts(subscription))
        return await self.send(intent, event_id=event_id, key=key)

    async def send_test_event(
        self, subscription: str, *, event_id: str | None = None, key: str | None = None
    ) -> Receipt:
        """Publish the intent to send a test event to a subscription's URL, once.

        The operation succeeds if the receiver answers with a 2xx status, and fails otherwise.
        """
        intent = events.intent_of(SendTestEvent, events.subscription_parts(subscription))
        return await self.send(intent, event_id=event_id, key=key)

    async def resend(
        self,
        subscription: str,
        *,
        event: str | None = None,
        since: datetime | None = None,
        event_id: str | None = None,
        key: str | None = None,
    ) -> Receipt:
        """Publish the intent to deliver again: the fact ``event``, else all that have failed.

        ``since`` selects those that have failed since then; it needs a time zone.
        """
        fields = {"event": event, "since": since}
        data = {**events.subscription_parts(subscription), **fields}
        intent = events.intent_of(ResendDeliveries, data)
        return await self.send(intent, event_id=event_id, key=key)

    async def subscription(self, subscription: str) -> SubscriptionView:
        """Return a subscription; a :class:`GatewayProblem` with status 404 if there is none."""
        return typed(SubscriptionView, (await self._get(_path(subscription))).body)

    def subscriptions(self, *, team: str | None = None) -> AsyncIterator[SubscriptionView]:
        """Iterate over subscriptions: all, or those of a team."""
        params = present(team=team, limit=PAGE)
        return self._pages("/v1/subscriptions", SubscriptionView, params)

    def deliveries(
        self, subscription: str, *, status: DeliveryStatus | None = None
    ) -> AsyncIterator[DeliveryView]:
        """Iterate over the deliveries of a subscription with their attempts, newest first."""
        params = present(status=status, limit=PAGE)
        return self._pages(f"{_path(subscription)}/deliveries", DeliveryView, params)

    async def delivery(self, subscription: str, event: str) -> DeliveryView:
        """Return the delivery of the fact ``event`` with its attempts."""
        answer = await self._get(f"{_path(subscription)}/deliveries/{segment(event)}")
        return typed(DeliveryView, answer.body)


def _path(subscription: str) -> str:
    parts = events.subscription_parts(subscription)
    return f"/v1/subscriptions/{segment(parts['team'])}/{segment(parts['name'])}"
