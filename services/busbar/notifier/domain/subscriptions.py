"""Who wants to hear what: one subscription's life, and whether a fact is for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from busbar.messages.base import Fact, IntentRef
from busbar.messages.catalogue import FACTS
from busbar.messages.notification import (
    ApplySubscription,
    DeleteSubscription,
    Subscribed,
    SubscriptionRefused,
    Unsubscribed,
    WebhookDelivered,
    WebhookExhausted,
)

NEVER_DELIVERED: Final[frozenset[str]] = frozenset({WebhookDelivered.TYPE, WebhookExhausted.TYPE})
"""Facts about deliveries: a webhook for each would cause the next one, without end."""

DELIVERABLE: Final[frozenset[str]] = frozenset(fact.TYPE for fact in FACTS) - NEVER_DELIVERED
"""Every type that a pattern may be meant for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Deliver ``team``'s facts of these ``types`` to ``url``, signed with ``secret`` (its name)."""

    team: str
    name: str
    url: str
    types: tuple[str, ...]
    secret: str

    @property
    def key(self) -> str:
        """``team/name``: what the subscription is called everywhere."""
        return f"{self.team}/{self.name}"

    @classmethod
    def of(cls, fact: Subscribed) -> "Subscription":
        """The subscription that ``fact`` put in force."""
        team, _, name = fact.subscription.partition("/")
        return cls(team=team, name=name, url=fact.url, types=fact.types, secret=fact.secret)


@dataclass(frozen=True, slots=True)
class SecretProblem:
    """Why a secret cannot sign: a code, and sentences for people without the value."""

    reason: str
    detail: str
    fix: str


def unknown_secret(reference: str, *, team: str) -> SecretProblem:
    """``team`` has no such secret. Another team's is not told apart: its name is its affair."""
    name = reference.removeprefix("secret:")
    return SecretProblem(
        "unknown_secret",
        f"the team {team} has no secret called {name}",
        f"store it as the team's own: `busbar secrets put {name} --team {team}`",
    )


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """One subscription as its facts tell it; None before it began and after it ended."""

    subscription: Subscription | None = None


def evolve(state: SubscriptionState, fact: Fact) -> SubscriptionState:
    """``state`` after one more fact of the same subscription."""
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
    """The one fact that ends the operation; a refusal changes nothing.

    ``secret_problem`` and ``url_problem`` are what the shell found out about an
    ``ApplySubscription``; a ``DeleteSubscription`` does not look at them. An unchanged
    subscription is told again, because somebody waits for the operation to end.
    """
    refusal = (
        _why_not_apply(intent, secret_problem=secret_problem, url_problem=url_problem)
        if isinstance(intent, ApplySubscription)
        else _why_not_delete(state, intent)
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


def _why_not_apply(
    intent: ApplySubscription, *, secret_problem: SecretProblem | None, url_problem: str | None
) -> _Refusal | None:
    if url_problem is not None:
        return (
            "bad_url",
            url_problem,
            f"mend the url, {_AGAIN}",
        )
    for pattern in intent.types:
        if not any(type_matches(pattern, type_) for type_ in DELIVERABLE):
            return (
                "unknown_type",
                f"no fact that is delivered has a type like {pattern}",
                f"use a type of the catalogue, or a pattern such as busbar.resource.*, {_AGAIN}",
            )
    if secret_problem is not None:
        fix = f"{secret_problem.fix.rstrip('.')}; {_AGAIN}"
        return secret_problem.reason, secret_problem.detail, fix
    return None


def _why_not_delete(state: SubscriptionState, intent: DeleteSubscription) -> _Refusal | None:
    if state.subscription is not None:
        return None
    return (
        "not_found",
        f"there is no subscription {intent.team}/{intent.name}",
        "check the team and the name; if it was deleted before, nothing is left to do",
    )


def matches(
    subscription: Subscription,
    type_: str,
    resource: str | None,
    data: Mapping[str, Any] | None = None,
) -> bool:
    """Whether a fact of ``type_`` about ``resource`` is delivered to ``subscription``.

    Only facts of the subscription's team are. A fact without a resource belongs to the team that
    its ``data`` names; one that names none is nobody's.
    """
    if type_ in NEVER_DELIVERED or subscription.team != team_of(resource, data):
        return False
    return any(type_matches(pattern, type_) for pattern in subscription.types)


def team_of(resource: str | None, data: Mapping[str, Any] | None = None) -> str | None:
    """The team that a fact is about, or None.

    From the resource; else from the data's ``subscription`` (``team/name``), its ``team``, or the
    ``team`` of the intent that was ``requested`` (a denial that names no resource).
    """
    if resource is not None:
        return _first_part(resource)
    known = data or {}
    named = known.get("subscription")
    if isinstance(named, str):
        return _first_part(named)
    requested = known.get("requested")
    team = known.get("team", requested.get("team") if isinstance(requested, Mapping) else None)
    return team if isinstance(team, str) and team else None


def _first_part(name: str) -> str | None:
    return name.partition("/")[0] or None


def type_matches(pattern: str, type_: str) -> bool:
    """Whether ``type_`` is ``pattern``, in which a ``*`` stands for any run of characters.

    Takes time in proportion to the lengths: a regular expression would take for ever on a
    pattern of many stars, and patterns come from outside.
    """
    head, *middle = pattern.split("*")
    if not middle:
        return pattern == type_
    tail = middle.pop()
    position, end = len(head), len(type_) - len(tail)
    if position > end or not type_.startswith(head) or not type_.endswith(tail):
        return False
    for part in middle:
        found = type_.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True
