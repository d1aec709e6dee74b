"""Decisions of the notifier as pure functions."""

from busbar.notifier.domain.addresses import REFUSED_NETWORKS, Network, is_refused, parse_networks
from busbar.notifier.domain.request import DEFAULT_TIMEOUT_SECONDS, WebhookRequest
from busbar.notifier.domain.requests import MAX_RESENT, decide_resend, decide_test
from busbar.notifier.domain.retry import (
    DEFAULT_POLICY,
    GUARD_CODES,
    Attempt,
    Delivered,
    ErrorCode,
    GiveUp,
    RetryLater,
    RetryPolicy,
    next_attempt,
)
from busbar.notifier.domain.signing import (
    TOLERANCE_SECONDS,
    Unverified,
    WebhookSecret,
    headers,
    sign,
    verify,
)
from busbar.notifier.domain.subscriptions import (
    DELIVERABLE,
    NEVER_DELIVERED,
    SecretProblem,
    Subscription,
    SubscriptionState,
    decide_subscription,
    evolve,
    matches,
    unknown_secret,
)

__all__ = [
    "DEFAULT_POLICY",
    "DEFAULT_TIMEOUT_SECONDS",
    "DELIVERABLE",
    "GUARD_CODES",
    "MAX_RESENT",
    "NEVER_DELIVERED",
    "REFUSED_NETWORKS",
    "TOLERANCE_SECONDS",
    "Attempt",
    "Delivered",
    "ErrorCode",
    "GiveUp",
    "Network",
    "RetryLater",
    "RetryPolicy",
    "SecretProblem",
    "Subscription",
    "SubscriptionState",
    "Unverified",
    "WebhookRequest",
    "WebhookSecret",
    "decide_resend",
    "decide_subscription",
    "decide_test",
    "evolve",
    "headers",
    "is_refused",
    "matches",
    "next_attempt",
    "parse_networks",
    "sign",
    "unknown_secret",
    "verify",
]
