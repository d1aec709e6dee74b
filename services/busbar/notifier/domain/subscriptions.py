"""The life cycle of a subscription, and which facts match it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from busbar.kernel.suggest import did_you_mean
from busbar.messages.base import Fact, IntentRef
from busbar.messages.catalogue import FACTS
from busbar.messages.delivery import HeadKeyRevoked, HeadPublished
from busbar.messages.notification import (
    ApplySubscription,
    DeleteSubscription,
    Subscribed,
    SubscriptionRefused,
    SubscriptionTestRequested,
    Unsubscribed,
    WebhookAttempted,
    WebhookDelivered,
    WebhookExhausted,
)
from busbar.messages.request import RequestAllowed
from busbar.messages.selection import team_of, type_matches

NEVER_DELIVERED: Final[frozenset[str]] = frozenset(
    {
        SubscriptionTestRequested.TYPE,
        WebhookAttempted.TYPE,
        WebhookDelivered.TYPE,
        WebhookExhausted.TYPE,
        HeadPublished.TYPE,
        HeadKeyRevoked.TYPE,
        RequestAllowed.TYPE,
    }
)
"""Facts that no pattern matches: those about deliveries, as a webhook for each would cause the next
one without end; test events, which go to one subscription; the progress of relays, which concerns
no team; and requests that are allowed, whose outcome is a fact of its own."""

DELIVERABLE: Final[frozenset[str]] = frozenset(fact.TYPE for fact in FACTS) - NEVER_DELIVERED
"""Every type that a pattern can match."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Deliver ``team``'s facts of these ``types`` to ``url``; ``secret`` names the signing key."""

    team: str
    name: str
    url: str
    types: tuple[str, ...]
    secret: str

    @property
    def key(self) -> str:
        """The identity of the subscription, ``team/name``."""
        return f"{self.team}/{self.name}"

    @classmethod
    def of(cls, fact: Subscribed) -> "Subscription":
        """Return the subscription that ``fact`` announces."""
        team, _, name = fact.subscription.partition("/")
        return cls(team=team, name=name, url=fact.url, types=fact.types, secret=fact.secret)


@dataclass(frozen=True, slots=True)
class SecretProblem:
    """A reason why a secret cannot sign: a code, and sentences that never quote the value."""

    reason: str
    detail: str
    fix: str


def unknown_secret(reference: str, *, team: str) -> SecretProblem:
    """Return the problem of a secret that ``team`` does not own.

    Another team's secret looks the same as a missing one, so that names do not leak.
    """
    name = reference.removeprefix("secret:")
    return SecretProblem(
        "unknown_secret",
        f"the team {team} has no secret called {name}",
        f"store it as the team's own: `busbar secrets put {name} --team {team}`",
    )


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """The state of one subscription; None before it was created and after it was deleted."""

    subscription: Subscription | None = None


def evolve(state: SubscriptionState, fact: Fact) -> SubscriptionState:
    """Return ``state`` after one more fact of the same subscription."""
    match fact:
        case Subscribed():
            return SubscriptionState(Subscription.of(fact))
        case Unsubscribed():
            return SubscriptionState()
        case _:
            return state


def decide_subscription(
    state: SubscriptionState,
    intent: ApplySubscription | DeleteSubscription,
    *,
    operation: UUID,
    intent_ref: IntentRef,
    secret_problem: SecretProblem | None,
    url_problem: str | None,
) -> list[Fact]:
    """Decide the one fact that ends the operation; a refusal changes nothing.

    ``secret_problem`` and ``url_problem`` are the findings about an ``ApplySubscription``; they
    do not matter to a ``DeleteSubscription``. An unchanged subscription is announced again, so
    that its operation ends.
    """
    refusal = (
        _refuse_apply(intent, secret_problem=secret_problem, url_problem=url_problem)
        if isinstance(intent, ApplySubscription)
        else _refuse_delete(state, intent)
    )
    if refusal is not None:
        reason, detail, fix = refusal
        return [
            SubscriptionRefused(
                operation=operation, intent=intent_ref, reason=reason, detail=detail, fix=fix
            )
        ]
    key = f"{intent.team}/{intent.name}"
    if isinstance(intent, DeleteSubscription):
        return [Unsubscribed(operation=operation, intent=intent_ref, subscription=key)]
    return [
        Subscribed(
            operation=operation,
            intent=intent_ref,
            subscription=key,
            url=intent.url,
            types=intent.types,
            secret=intent.secret,
        )
    ]


_Refusal = tuple[str, str, str]
"""Reason, detail and fix of a ``SubscriptionRefused``."""

_AGAIN = "then send the intent again under a new id"


def _refuse_apply(
    intent: ApplySubscription, *, secret_problem: SecretProblem | None, url_problem: str | None
) -> _Refusal | None:
    if url_problem is not None:
        return (
            "bad_url",
            url_problem,
            f"fix the url, {_AGAIN}",
        )
    for pattern in intent.types:
        if not any(type_matches(pattern, type_) for type_ in DELIVERABLE):
            return (
                "unknown_type",
                f"{pattern} does not match the type of any fact that is delivered",
                f"{_other_types(pattern)}, {_AGAIN}",
            )
    if secret_problem is not None:
        fix = f"{secret_problem.fix.rstrip('.')}; {_AGAIN}"
        return secret_problem.reason, secret_problem.detail, fix
    return None


def _other_types(pattern: str) -> str:
    otherwise = "use a type that `busbar schema list` shows, or a pattern such as busbar.resource.*"
    return did_you_mean(pattern, DELIVERABLE, otherwise=otherwise)


def _refuse_delete(state: SubscriptionState, intent: DeleteSubscription) -> _Refusal | None:
    if state.subscription is not None:
        return None
    return (
        "not_found",
        f"there is no subscription {intent.team}/{intent.name}",
        "check the team and the name; if it was already deleted, nothing is left to do",
    )


def matches(
    subscription: Subscription,
    type_: str,
    resource: str | None,
    data: Mapping[str, Any] | None = None,
) -> bool:
    """Return whether a fact of ``type_`` about ``resource`` is delivered to ``subscription``.

    Only facts of the subscription's team are. A fact without a resource belongs to the team that
    its ``data`` names; a fact that names no team is not delivered.
    """
    if type_ in NEVER_DELIVERED or subscription.team != team_of(resource, data):
        return False
    return any(type_matches(pattern, type_) for pattern in subscription.types)
