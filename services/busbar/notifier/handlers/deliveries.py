"""Deliveries: durable tasks while they are due, and documents when they have ended."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from busbar.kernel.clock import format_time
from busbar.messages.codec import http as codec
from busbar.messages.notification import (
    Subscribed,
    SubscriptionTestRequested,
    WebhookAttempted,
    WebhookDelivered,
    WebhookExhausted,
)
from busbar.notifier.domain import Delivered, GiveUp, RetryLater, Subscription
from busbar.runtime.consume.service import Received
from busbar.runtime.store import Cause, Document, Transaction

WEBHOOK = "webhook"
"""The kind of the tasks."""

SUBSCRIPTION = "subscription"
DELIVERED = "delivered"
FAILED = "failed_delivery"
"""Kinds of documents. Deliveries that have ended are kept, so that they can be made again."""

PAGE_SIZE = 500


async def subscriptions_of(team: str, tx: Transaction) -> AsyncIterator[Subscription]:
    """Yield every subscription of ``team``, page by page."""
    after = None
    while page := await tx.documents.find(SUBSCRIPTION, parent=team, after=after, limit=PAGE_SIZE):
        for document in page:
            yield Subscription.of(Subscribed.model_validate(document.value))
        after = page[-1].rank


async def subscription_named(key: str, tx: Transaction) -> Subscription | None:
    """Return the subscription ``key`` (team/name), or None."""
    found = await tx.documents.get(SUBSCRIPTION, key)
    return None if found is None else Subscription.of(Subscribed.model_validate(found))


async def schedule(subscription: Subscription, received: Received[Any], tx: Transaction) -> None:
    """Make the delivery of a fact to ``subscription`` due."""
    envelope, fact = received.envelope, received.message
    await tx.tasks.schedule(
        WEBHOOK,
        f"{subscription.key}|{envelope.id}",
        data={
            "subscription": subscription.key,
            "url": subscription.url,
            "secret": subscription.secret,
            "event": envelope.id,
            "event_type": envelope.type,
            "resource": fact.resource_id,
            "operation": fact.operation_id,
            "correlation": tx.cause.correlation,
            "time": format_time(envelope.time) if envelope.time else None,
            "traceparent": tx.cause.traceparent,
            "onbehalfof": tx.cause.onbehalfof,
            "body": codec.structured(envelope).decode(),
        },
    )


async def schedule_again(
    subscription: Subscription, ended: Mapping[str, Any], tx: Transaction
) -> None:
    """Make a delivery that has ended due again, to the present URL and with the present secret.

    It has no recording time any more, so that it is not measured as one that took this long.
    """
    name = f"{subscription.key}|{ended['event']}"
    present = {"url": subscription.url, "secret": subscription.secret, "time": None}
    await tx.tasks.schedule(WEBHOOK, name, data={**ended, **present})
    await forget(name, tx)


async def forget(name: str, tx: Transaction) -> None:
    """Delete what is kept about a delivery that has ended."""
    for kind in (DELIVERED, FAILED):
        await tx.documents.remove(kind, name)


async def ended_deliveries(
    subscription: str, *, event: str | None, since: str | None, limit: int, tx: Transaction
) -> list[Mapping[str, Any]]:
    """Return the delivery of ``event``, or those that have failed ``since`` a time."""
    if event is not None:
        name = f"{subscription}|{event}"
        found = [await tx.documents.get(kind, name) for kind in (FAILED, DELIVERED)]
        return [value for value in found if value is not None]
    page = await tx.documents.find(FAILED, parent=subscription, after=since, limit=limit)
    return [document.value for document in page]


async def record_attempt(
    data: Mapping[str, Any],
    attempt: int,
    outcome: tuple[Delivered | RetryLater | GiveUp, str, float],
    *,
    traceparent: str | None,
    tx: Transaction,
) -> None:
    """Append the fact about one attempt; ``outcome`` is its verdict, reason and duration.

    The facts of one delivery are numbered by the length of its stream: it may be made again.
    """
    verdict, reason, seconds = outcome
    stream = stream_of(data)
    number = await tx.load(stream, 0, lambda known, _: known + 1)
    cause = Cause(
        data["subscription"],
        data["event"],
        data["correlation"],
        traceparent,
        data.get("onbehalfof"),
    )
    tx.caused_by(cause, index=number)
    about = {
        name: data[name]
        for name in ("operation", "resource", "subscription", "event", "event_type")
    }
    fact: WebhookAttempted | WebhookDelivered | WebhookExhausted
    match verdict:
        case RetryLater():
            retry = {"reason": reason, "retry_seconds": verdict.after_seconds}
            fact = WebhookAttempted(**about, attempt=attempt, seconds=seconds, **retry)
        case Delivered():
            fact = WebhookDelivered(
                **about, attempt=attempt, status=verdict.status, seconds=seconds
            )
        case GiveUp():
            fact = WebhookExhausted(
                **about, attempts=attempt, reason=verdict.reason, seconds=seconds
            )
    await tx.append(stream, [fact], key=data["resource"] or data["subscription"])


async def keep(data: Mapping[str, Any], verdict: Delivered | GiveUp, tx: Transaction) -> None:
    """Keep a delivery that has ended; test events are not made again."""
    if data["event_type"] == SubscriptionTestRequested.TYPE:
        return
    kind = DELIVERED if isinstance(verdict, Delivered) else FAILED
    name = f"{data['subscription']}|{data['event']}"
    rank = f"{format_time(tx.now)}/{data['event']}"
    await tx.documents.put(
        Document(kind=kind, key=name, parent=data["subscription"], rank=rank, value=dict(data))
    )


def stream_of(data: Mapping[str, Any]) -> str:
    """Return the stream of a delivery's facts."""
    return f"delivery/{data['event']}/{data['subscription']}"
