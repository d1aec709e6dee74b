"""Every message there is: what is published, on which topic, under which type."""

from busbar.messages import delivery, notification, policy, resource, topics
from busbar.messages.base import Fact, Intent, Message

INTENTS: tuple[type[Intent], ...] = (
    resource.ApplyResource,
    resource.DeleteResource,
    notification.ApplySubscription,
    notification.DeleteSubscription,
    delivery.RedriveDeadLetter,
    delivery.DiscardDeadLetter,
)

FACTS: tuple[type[Fact], ...] = (
    policy.IntentAllowed,
    policy.IntentDenied,
    policy.IntentExpired,
    policy.IntentConflicted,
    resource.ResourceQueued,
    resource.StepStarted,
    resource.StepSucceeded,
    resource.StepFailed,
    resource.StepUndone,
    resource.ResourceProvisioned,
    resource.ResourceDeleted,
    resource.ResourceFailed,
    resource.ResourceStuck,
    notification.Subscribed,
    notification.SubscriptionRefused,
    notification.Unsubscribed,
    notification.WebhookDelivered,
    notification.WebhookExhausted,
    delivery.DeadLettered,
    delivery.DeadLetterRedriven,
    delivery.DeadLetterRecovered,
    delivery.DeadLetterDiscarded,
    delivery.HeadPublished,
)

MESSAGES: tuple[type[Message], ...] = INTENTS + FACTS

BY_TYPE: dict[str, type[Message]] = {message.TYPE: message for message in MESSAGES}

INTENT_TYPES = frozenset(intent.TYPE for intent in INTENTS)


def topic_of(type_: str) -> str | None:
    """The topic that events of ``type_`` are published on, or None for an unknown type."""
    message = BY_TYPE.get(type_)
    return message.TOPIC if message else None


def belongs(message: type[Message], topic: str) -> bool:
    """Whether events of ``message`` count on ``topic``.

    Anybody may write to the topics of intents, only services to those of facts; so an event is
    what its type says only where its type is published.
    """
    if "{service}" in message.TOPIC:
        return topic in topics.DEAD_LETTERS
    return topic == message.TOPIC
