"""The messages by type and topic."""

from busbar.messages import (
    delayed,
    delivery,
    identity,
    intervention,
    notification,
    policy,
    request,
    resource,
    topics,
)
from busbar.messages.base import Fact, Intent, Message

INTENTS: tuple[type[Intent], ...] = (
    resource.ApplyResource,
    resource.DeleteResource,
    intervention.RetryOperation,
    intervention.AbandonOperation,
    intervention.ReleaseResource,
    notification.ApplySubscription,
    notification.DeleteSubscription,
    notification.SendTestEvent,
    notification.ResendDeliveries,
    delivery.RedriveDeadLetter,
    delivery.DiscardDeadLetter,
    identity.RegisterKey,
    identity.RevokeKey,
    identity.EraseSubject,
)

FACTS: tuple[type[Fact], ...] = (
    policy.IntentAllowed,
    policy.IntentDenied,
    policy.IntentExpired,
    policy.IntentConflicted,
    request.RequestAllowed,
    intervention.InterventionAllowed,
    resource.ResourceQueued,
    resource.StepStarted,
    resource.StepSucceeded,
    resource.StepFailed,
    resource.StepUndone,
    resource.StepRetained,
    resource.ResourceProvisioned,
    resource.ResourceDeleted,
    resource.ResourceFailed,
    resource.ResourceStuck,
    delayed.ResourceDelayed,
    intervention.OperationAbandoned,
    intervention.Intervened,
    intervention.ResourceReleased,
    notification.Subscribed,
    notification.SubscriptionRefused,
    notification.Unsubscribed,
    notification.SubscriptionTestRequested,
    notification.DeliveriesResent,
    notification.WebhookAttempted,
    notification.WebhookDelivered,
    notification.WebhookExhausted,
    identity.PrincipalDeclared,
    identity.PrincipalRemoved,
    identity.KeyRegistered,
    identity.KeyRevoked,
    identity.KeyRefused,
    identity.SubjectErased,
    delivery.DeadLettered,
    delivery.DeadLetterRedriven,
    delivery.DeadLetterRecovered,
    delivery.DeadLetterDiscarded,
    delivery.HeadKeyRevoked,
    delivery.HeadPublished,
)

MESSAGES: tuple[type[Message], ...] = INTENTS + FACTS

BY_TYPE: dict[str, type[Message]] = {message.TYPE: message for message in MESSAGES}

INTENT_TYPES = frozenset(intent.TYPE for intent in INTENTS)


def topic_of(type_: str) -> str | None:
    """Return the topic that events of ``type_`` are published on; None for an unknown type."""
    message = BY_TYPE.get(type_)
    return message.TOPIC if message else None


def belongs(message: type[Message], topic: str) -> bool:
    """Return whether ``message`` is published on ``topic``; elsewhere such an event is ignored.

    Producers may write to the topics of intents, only services to those of facts. A fact on a
    topic of intents is therefore not a fact.
    """
    if "{service}" in message.TOPIC:
        return topic in topics.DEAD_LETTERS
    return topic == message.TOPIC
