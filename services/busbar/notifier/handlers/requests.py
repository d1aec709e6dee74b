"""Test events, and deliveries that are made again."""

from busbar.kernel.clock import format_time
from busbar.kernel.ids import operation_id
from busbar.messages.base import IntentRef
from busbar.messages.notification import (
    DeliveriesResent,
    ResendDeliveries,
    SendTestEvent,
    SubscriptionRefused,
    SubscriptionTestRequested,
    WebhookExhausted,
)
from busbar.messages.request import RequestAllowed
from busbar.notifier.domain import (
    MAX_RESENT,
    SubscriptionState,
    decide_resend,
    decide_test,
    evolve,
)
from busbar.notifier.handlers.deliveries import (
    ended_deliveries,
    schedule,
    schedule_again,
    subscription_named,
)
from busbar.runtime.consume.service import Discarded, Received
from busbar.runtime.store import Transaction


async def request_test(received: Received[SendTestEvent], tx: Transaction) -> None:
    """Record the test event of a subscription; it is delivered when it comes back as a fact."""
    intent, envelope = received.message, received.envelope
    key = f"{intent.team}/{intent.name}"
    state = await tx.load(f"subscription/{key}", SubscriptionState(), evolve)
    operation, about = operation_id(envelope.source, envelope.id), IntentRef.of(envelope)
    fact = decide_test(state, intent, operation=operation, intent_ref=about)
    await tx.append(f"operation/{operation}", [fact], key=key)


async def deliver_test(received: Received[SubscriptionTestRequested], tx: Transaction) -> None:
    """Make the test event due; without its subscription its operation ends here."""
    fact, event = received.message, received.envelope.id
    subscription = await subscription_named(fact.subscription, tx)
    if subscription is not None:
        await schedule(subscription, received, tx)
        return
    await _end_test(fact, event, "unsubscribed", tx)


async def _end_test(
    fact: SubscriptionTestRequested, event: str, reason: str, tx: Transaction
) -> None:
    """End the operation of a test event that is never sent."""
    ended = WebhookExhausted(
        operation=fact.operation,
        resource=None,
        subscription=fact.subscription,
        event=event,
        event_type=fact.TYPE,
        attempts=0,
        reason=reason,
    )
    await tx.append(f"delivery/{event}/{fact.subscription}", [ended], key=fact.subscription)


async def discard(discarded: Discarded, tx: Transaction) -> bool:
    """End the operation of a request, or of a test event, whose record is discarded."""
    envelope = discarded.envelope
    if envelope.type == SubscriptionTestRequested.TYPE:
        fact = SubscriptionTestRequested.model_validate(envelope.data)
        await _end_test(fact, envelope.id, "discarded", tx)
        return True
    if envelope.type != RequestAllowed.TYPE:
        return False  # a fact of its own about an operation that has ended
    request = RequestAllowed.model_validate(envelope.data)
    refused = SubscriptionRefused(
        operation=discarded.operation,
        intent=request.intent,
        reason="discarded",
        detail=f"notifier could not handle it, and operation {discarded.by} discarded it",
        fix="send it again under a new id once the cause is fixed",
    )
    await tx.append(f"operation/{discarded.operation}", [refused], key=request.about)
    return True


async def resend(received: Received[ResendDeliveries], tx: Transaction) -> None:
    """Make deliveries that have ended due again."""
    intent, envelope = received.message, received.envelope
    key = f"{intent.team}/{intent.name}"
    state = await tx.load(f"subscription/{key}", SubscriptionState(), evolve)
    found = await ended_deliveries(
        key,
        event=intent.event,
        since=format_time(intent.since) if intent.since else None,
        limit=MAX_RESENT + 1,
        tx=tx,
    )
    operation, about = operation_id(envelope.source, envelope.id), IntentRef.of(envelope)
    fact = decide_resend(state, intent, found=len(found), operation=operation, intent_ref=about)
    await tx.append(f"operation/{operation}", [fact], key=key)
    if not isinstance(fact, DeliveriesResent) or state.subscription is None:
        return
    for ended in found[:MAX_RESENT]:
        await schedule_again(state.subscription, ended, tx)
