"""Changes of the views of operations by facts that are not about a resource."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from busbar.messages.base import Fact, IntentRef
from busbar.messages.delivery import (
    DeadLetterDiscarded,
    DeadLettered,
    DeadLetterRecovered,
    DeadLetterRedriven,
)
from busbar.messages.identity import KeyRefused, KeyRegistered, KeyRevoked, SubjectErased
from busbar.messages.notification import (
    DeliveriesResent,
    Subscribed,
    SubscriptionRefused,
    SubscriptionTestRequested,
    Unsubscribed,
    WebhookDelivered,
    WebhookExhausted,
)

COULD_NOT_HANDLE: Final = "could not handle it"
"""Part of the detail of an operation that is stuck because a record of it became a dead letter."""


def request_change(fact: Fact) -> Mapping[str, Any] | None:
    """Return what ``fact`` changes in the view of the operation of a request; None if nothing."""
    match fact:
        case Subscribed() | Unsubscribed():
            return {"status": "succeeded", "intent": fact.intent.model_dump()}
        case SubscriptionTestRequested():
            return {"status": "running", "intent": fact.intent.model_dump()}
        case DeliveriesResent():
            done = {"status": "succeeded", "intent": fact.intent.model_dump()}
            more = "; more have failed: send another intent" if fact.more else ""
            if not fact.deliveries:
                more = ": none has failed, and those that are being retried need no request"
            return {**done, "detail": f"{fact.deliveries} deliveries are due again{more}"}
        case KeyRegistered(intent=IntentRef()) | KeyRevoked(intent=IntentRef()):
            change = "registered" if isinstance(fact, KeyRegistered) else "revoked"
            detail = f"the key {fact.key} of {fact.principal} is {change}"
            return {**_asked(fact.intent), "status": "succeeded", "detail": detail}
        case SubjectErased():
            what = "is erased" if fact.existed else "was not there: nothing to erase"
            detail = f"the personal data of {fact.subject} {what}"
            return {**_asked(fact.intent), "status": "succeeded", "detail": detail}
        case SubscriptionRefused() | KeyRefused():
            refused = {"status": "denied", "intent": fact.intent.model_dump()}
            refused |= {"reason": fact.reason, "detail": f"{fact.detail}; {fact.fix}"}
            return {**refused, "fix": fact.fix}
        case _:
            return _delivered(fact)


def _asked(intent: IntentRef | None) -> Mapping[str, Any]:
    return {"intent": intent.model_dump()} if intent is not None else {}


def _delivered(fact: Fact) -> Mapping[str, Any] | None:
    match fact:
        case WebhookDelivered(event_type=SubscriptionTestRequested.TYPE):
            detail = f"the test event was delivered, with status {fact.status}"
            return {"status": "succeeded", "detail": detail}
        case WebhookExhausted(event_type=SubscriptionTestRequested.TYPE):
            detail = f"the test event was not delivered: {fact.reason}"
            return {"status": "failed", "reason": "not_delivered", "detail": detail}
        case DeadLettered(operation=UUID()):
            detail = f"{fact.service} {COULD_NOT_HANDLE}: {fact.detail}"
            return {"status": "stuck", "reason": fact.reason, "detail": detail}
        case DeadLetterRecovered(operation=UUID()):
            return {"status": "running", "reason": "", "detail": ""}
        case DeadLetterRedriven() | DeadLetterDiscarded():
            status = "succeeded" if fact.outcome in {"handled", "discarded"} else "failed"
            known = {"intent": fact.intent.model_dump(), "detail": fact.detail}
            return {**known, "status": status, "reason": fact.outcome}
        case _:
            return None
