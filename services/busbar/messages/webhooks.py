"""Views of subscriptions and deliveries, folded from the published facts.

They are pure, as the views of operations and resources are: the same facts give the same views.
"""

from datetime import timedelta
from typing import Any, Final, Literal

from pydantic import Field

from busbar.kernel.clock import format_time, parse_time
from busbar.messages.base import Part
from busbar.messages.notification import (
    Subscribed,
    WebhookAttempted,
    WebhookDelivered,
    WebhookExhausted,
)

DeliveryFact = WebhookAttempted | WebhookDelivered | WebhookExhausted
DeliveryStatus = Literal["retrying", "delivered", "failed"]

MAX_ATTEMPTS: Final = 50
"""The number of attempts that a view keeps; a delivery that was resent may have had more."""


class SubscriptionView(Part):
    """A subscription that exists."""

    subscription: str = Field(description="team/name")
    team: str
    name: str
    url: str
    types: tuple[str, ...]
    secret: str = Field(description="The reference of the signing secret.")
    updated: str = Field(description="When it was created or last changed.")


class AttemptView(Part):
    """One attempt of a delivery."""

    time: str = Field(description="When its outcome was recorded.")
    attempt: int = Field(description="Its number; it starts at 1 again when a fact is resent.")
    outcome: str = Field(description="`status 204`, or a code such as `timeout`.")
    seconds: float | None = Field(default=None, description="Its duration.")


class DeliveryView(Part):
    """The delivery of one fact to one subscription."""

    subscription: str
    event: str = Field(description="The id of the fact; the webhook-id header.")
    event_type: str
    resource: str | None = None
    operation: str | None = None
    status: DeliveryStatus
    attempts: tuple[AttemptView, ...] = Field(
        default=(), description=f"Oldest first, the last {MAX_ATTEMPTS}."
    )
    updated: str = ""
    next_attempt: str | None = Field(
        default=None, description="When the next attempt is due; null if none follows."
    )


def subscription_of(fact: Subscribed, *, time: str) -> SubscriptionView:
    """Return the subscription that ``fact`` announces."""
    team, _, name = fact.subscription.partition("/")
    known = fact.model_dump(include={"subscription", "url", "types", "secret"})
    return SubscriptionView(**known, team=team, name=name, updated=time)


def evolve_delivery(view: DeliveryView | None, fact: DeliveryFact, *, time: str) -> DeliveryView:
    """Return the delivery's view after ``fact``, which was recorded at ``time``."""
    status, number, outcome = _outcome(fact)
    attempt = AttemptView(time=time, attempt=number, outcome=outcome, seconds=fact.seconds)
    before: tuple[AttemptView, ...] = view.attempts if view is not None else ()
    about: dict[str, Any] = {
        "subscription": fact.subscription,
        "event": fact.event,
        "event_type": fact.event_type,
        "resource": fact.resource_id,
        "operation": fact.operation_id,
    }
    attempts = (*before, attempt)[-MAX_ATTEMPTS:]
    following = _next_attempt(fact, time)
    return DeliveryView(
        **about, status=status, attempts=attempts, updated=time, next_attempt=following
    )


def _next_attempt(fact: DeliveryFact, time: str) -> str | None:
    if not isinstance(fact, WebhookAttempted):
        return None
    try:
        return format_time(parse_time(time) + timedelta(seconds=fact.retry_seconds))
    except (ValueError, OverflowError):  # of a fact that another program has published
        return None


def _outcome(fact: DeliveryFact) -> tuple[DeliveryStatus, int, str]:
    match fact:
        case WebhookAttempted():
            return "retrying", fact.attempt, fact.reason
        case WebhookDelivered():
            return "delivered", fact.attempt, f"status {fact.status}"
        case WebhookExhausted():
            return "failed", fact.attempts, fact.reason
