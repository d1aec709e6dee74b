"""Requests about a subscription that exists: test events, and deliveries to make again."""

from typing import Final
from uuid import UUID

from busbar.messages.base import Fact, IntentRef
from busbar.messages.notification import (
    DeliveriesResent,
    ResendDeliveries,
    SendTestEvent,
    SubscriptionRefused,
    SubscriptionTestRequested,
)
from busbar.notifier.domain.subscriptions import SubscriptionState

MAX_RESENT: Final = 500
"""The number of deliveries that one intent resends at most: they are scheduled in a transaction."""


def missing_subscription(
    state: SubscriptionState,
    intent: SendTestEvent | ResendDeliveries,
    *,
    operation: UUID,
    intent_ref: IntentRef,
) -> SubscriptionRefused | None:
    """Return the refusal of an intent about a subscription that does not exist, else None."""
    if state.subscription is not None:
        return None
    return SubscriptionRefused(
        operation=operation,
        intent=intent_ref,
        reason="not_found",
        detail=f"there is no subscription {intent.team}/{intent.name}",
        fix="check the team and the name; `busbar subscription list` shows what there is",
    )


def decide_test(
    state: SubscriptionState, intent: SendTestEvent, *, operation: UUID, intent_ref: IntentRef
) -> Fact:
    """Decide whether the subscription gets a test event, which is the fact itself."""
    refused = missing_subscription(state, intent, operation=operation, intent_ref=intent_ref)
    return refused or SubscriptionTestRequested(
        operation=operation, intent=intent_ref, subscription=f"{intent.team}/{intent.name}"
    )


def decide_resend(
    state: SubscriptionState,
    intent: ResendDeliveries,
    *,
    found: int,
    operation: UUID,
    intent_ref: IntentRef,
) -> Fact:
    """Decide whether deliveries are made again; ``found`` is how many the intent selects.

    Selecting none is a refusal if the intent names one, since that one cannot be made again.
    """
    refused = missing_subscription(state, intent, operation=operation, intent_ref=intent_ref)
    if refused is not None:
        return refused
    if intent.event is not None and not found:
        return SubscriptionRefused(
            operation=operation,
            intent=intent_ref,
            reason="unknown_delivery",
            detail=f"{intent.team}/{intent.name} has no delivery of {intent.event} that has ended",
            fix="check the id; one that is still being retried needs no request",
        )
    return DeliveriesResent(
        operation=operation,
        intent=intent_ref,
        subscription=f"{intent.team}/{intent.name}",
        deliveries=min(found, MAX_RESENT),
        more=found > MAX_RESENT,
    )
