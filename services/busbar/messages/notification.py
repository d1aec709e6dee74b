"""The families ``subscription`` and ``notification``: webhooks and their deliveries."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, StringConstraints

from busbar.messages import permissions, topics
from busbar.messages.base import (
    EXAMPLE_INTENT,
    EXAMPLE_OPERATION,
    EXAMPLE_RESOURCE,
    Fact,
    Intent,
    IntentRef,
    JsonObject,
    Slug,
)

TypePattern = Annotated[str, StringConstraints(pattern=r"^busbar\.[a-z0-9*.-]+$", max_length=255)]
"""A CloudEvents type; a ``*`` stands for any run of characters."""

SecretRef = Annotated[str, StringConstraints(pattern=r"^secret:[a-z0-9][a-z0-9-]{0,62}$")]
"""A reference to a secret, never the secret."""

_SUBSCRIPTION: JsonObject = {"subscription": "payments/orders-done", "operation": EXAMPLE_OPERATION}


class ApplySubscription(Intent):
    """Deliver matching facts to a URL, signed with the referenced secret."""

    TYPE: ClassVar[str] = "busbar.subscription.apply.v1"
    TOPIC: ClassVar[str] = topics.INTENTS_SUBSCRIPTION
    PERMISSION: ClassVar[str] = permissions.SUBSCRIPTION_WRITE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            "team": "payments",
            "name": "orders-done",
            "url": "https://payments.example/hooks/busbar",
            "types": ["busbar.resource.provisioned.v1", "busbar.policy.denied.v1"],
            "secret": "secret:payments-orders-done",
        },
    )

    team: Slug = Field(description="Only facts about this team's resources are delivered.")
    name: Slug
    url: str = Field(max_length=2048, pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://")
    types: tuple[TypePattern, ...] = Field(min_length=1, max_length=32)
    secret: SecretRef


class DeleteSubscription(Intent):
    """Stop deliveries; those already scheduled are still made."""

    TYPE: ClassVar[str] = "busbar.subscription.delete.v1"
    TOPIC: ClassVar[str] = topics.INTENTS_SUBSCRIPTION
    PERMISSION: ClassVar[str] = permissions.SUBSCRIPTION_WRITE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = ({"team": "payments", "name": "orders-done"},)

    team: Slug
    name: Slug


class SendTestEvent(Intent):
    """Send a test event to a subscription's URL, once, signed like any other."""

    TYPE: ClassVar[str] = "busbar.subscription.test.v1"
    TOPIC: ClassVar[str] = topics.INTENTS_SUBSCRIPTION
    PERMISSION: ClassVar[str] = permissions.SUBSCRIPTION_WRITE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = ({"team": "payments", "name": "orders-done"},)

    team: Slug
    name: Slug


class ResendDeliveries(Intent):
    """Deliver facts of a subscription again: one of them, or all whose delivery has failed."""

    TYPE: ClassVar[str] = "busbar.subscription.resend.v1"
    TOPIC: ClassVar[str] = topics.INTENTS_SUBSCRIPTION
    PERMISSION: ClassVar[str] = permissions.SUBSCRIPTION_WRITE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {"team": "payments", "name": "orders-done", "since": "2026-01-31T12:00:00Z"},
        {
            "team": "payments",
            "name": "orders-done",
            "event": "11111111-1111-5111-8111-111111111111",
        },
    )

    team: Slug
    name: Slug
    event: str | None = Field(
        default=None,
        max_length=255,
        description="The id of the one fact to deliver again, whether or not it was delivered.",
    )
    since: AwareDatetime | None = Field(
        default=None,
        description="Without an event: only deliveries that have failed since then.",
    )


class Subscribed(Fact):
    """A subscription was created or changed."""

    TYPE: ClassVar[str] = "busbar.notification.subscribed.v1"
    TOPIC: ClassVar[str] = topics.FACTS_NOTIFICATION
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **_SUBSCRIPTION,
            "intent": EXAMPLE_INTENT,
            "url": "https://payments.example/hooks/busbar",
            "types": ["busbar.resource.provisioned.v1"],
            "secret": "secret:payments-orders-done",
        },
    )

    operation: UUID
    intent: IntentRef
    subscription: str = Field(description="team/name")
    url: str
    types: tuple[str, ...]
    secret: SecretRef


class SubscriptionRefused(Fact):
    """A subscription intent was refused; nothing changed."""

    TYPE: ClassVar[str] = "busbar.notification.refused.v1"
    TOPIC: ClassVar[str] = topics.FACTS_NOTIFICATION
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            "operation": EXAMPLE_OPERATION,
            "intent": EXAMPLE_INTENT,
            "reason": "unknown_secret",
            "detail": "no secret is called payments-orders-done",
            "fix": "store it first, then send the intent again under a new id",
        },
    )

    operation: UUID
    intent: IntentRef
    reason: str
    detail: str
    fix: str


class Unsubscribed(Fact):
    """A subscription was removed."""

    TYPE: ClassVar[str] = "busbar.notification.unsubscribed.v1"
    TOPIC: ClassVar[str] = topics.FACTS_NOTIFICATION
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = ({**_SUBSCRIPTION, "intent": EXAMPLE_INTENT},)

    operation: UUID
    intent: IntentRef
    subscription: str


class SubscriptionTestRequested(Fact):
    """The test event of a subscription: it is delivered to that subscription only, once."""

    TYPE: ClassVar[str] = "busbar.notification.test-requested.v1"
    TOPIC: ClassVar[str] = topics.FACTS_NOTIFICATION
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **_SUBSCRIPTION,
            "intent": {**EXAMPLE_INTENT, "type": "busbar.subscription.test.v1"},
            "test": True,
        },
    )

    operation: UUID
    intent: IntentRef
    subscription: str
    test: Literal[True] = Field(default=True, description="Marks the event as a test.")


class DeliveriesResent(Fact):
    """Deliveries were made due again. Each has all its attempts once more."""

    TYPE: ClassVar[str] = "busbar.notification.resent.v1"
    TOPIC: ClassVar[str] = topics.FACTS_NOTIFICATION
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **_SUBSCRIPTION,
            "intent": {**EXAMPLE_INTENT, "type": "busbar.subscription.resend.v1"},
            "deliveries": 3,
            "more": False,
        },
    )

    operation: UUID
    intent: IntentRef
    subscription: str
    deliveries: int = Field(description="The number of deliveries that are due again.")
    more: bool = Field(
        description="More deliveries have failed than one intent resends: send another."
    )


class WebhookAttempted(Fact):
    """An attempt to deliver a fact failed; another follows."""

    TYPE: ClassVar[str] = "busbar.notification.attempted.v1"
    TOPIC: ClassVar[str] = topics.FACTS_NOTIFICATION
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **_SUBSCRIPTION,
            "resource": EXAMPLE_RESOURCE,
            "event": "11111111-1111-5111-8111-111111111111",
            "event_type": "busbar.resource.provisioned.v1",
            "attempt": 1,
            "reason": "timeout",
            "seconds": 15.0,
            "retry_seconds": 5.2,
        },
    )

    operation: UUID | None
    resource: str | None
    subscription: str
    event: str = Field(description="The id of the fact; the webhook-id header.")
    event_type: str
    attempt: int
    reason: str = Field(description="`status 503`, or a code such as `timeout`.")
    seconds: float = Field(description="Duration of the attempt.")
    retry_seconds: float = Field(description="Time until the next attempt.")


class WebhookDelivered(Fact):
    """A fact was delivered: the subscriber responded with a 2xx status."""

    TYPE: ClassVar[str] = "busbar.notification.delivered.v1"
    TOPIC: ClassVar[str] = topics.FACTS_NOTIFICATION
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **_SUBSCRIPTION,
            "resource": EXAMPLE_RESOURCE,
            "event": "11111111-1111-5111-8111-111111111111",
            "event_type": "busbar.resource.provisioned.v1",
            "attempt": 1,
            "status": 204,
            "seconds": 0.12,
        },
    )

    operation: UUID | None
    resource: str | None
    subscription: str
    event: str = Field(description="The id of the delivered fact; the webhook-id header.")
    event_type: str
    attempt: int
    status: int
    seconds: float | None = Field(default=None, description="Duration of the attempt.")


class WebhookExhausted(Fact):
    """A fact was not delivered: every attempt failed, or the subscriber refused permanently."""

    TYPE: ClassVar[str] = "busbar.notification.exhausted.v1"
    TOPIC: ClassVar[str] = topics.FACTS_NOTIFICATION
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            **_SUBSCRIPTION,
            "resource": EXAMPLE_RESOURCE,
            "event": "11111111-1111-5111-8111-111111111111",
            "event_type": "busbar.resource.provisioned.v1",
            "attempts": 8,
            "reason": "status 503",
            "seconds": 0.12,
        },
    )

    operation: UUID | None
    resource: str | None
    subscription: str
    event: str
    event_type: str
    attempts: int
    reason: str
    seconds: float | None = Field(default=None, description="Duration of the last attempt.")
