"""The decision on an intent that another service carries out: a subscription or a dead letter."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from busbar.kernel.suggest import did_you_mean, listed
from busbar.messages import topics
from busbar.messages.base import Fact, IntentRef, JsonObject
from busbar.messages.caller import Caller
from busbar.messages.delivery import DiscardDeadLetter, RedriveDeadLetter
from busbar.messages.identity import ORDER, EraseSubject, RegisterKey, RevokeKey
from busbar.messages.notification import (
    ApplySubscription,
    DeleteSubscription,
    ResendDeliveries,
    SendTestEvent,
)
from busbar.messages.policy import DenialReason, IntentDenied, IntentExpired, Violation
from busbar.messages.request import RequestAllowed

DeadLetterIntent = RedriveDeadLetter | DiscardDeadLetter
KeyIntent = RegisterKey | RevokeKey
SubscriptionIntent = ApplySubscription | DeleteSubscription | SendTestEvent | ResendDeliveries
RequestIntent = DeadLetterIntent | KeyIntent | EraseSubject | SubscriptionIntent


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRequest:
    """A request that has the form of its message; ``now`` is the time of the decision."""

    operation: UUID
    intent: IntentRef
    message: RequestIntent
    data: JsonObject
    now: datetime
    expirytime: datetime | None = None
    caller: Caller | None = None
    forbidden: Violation | None = None
    """The permission that the caller lacks, if any."""

    @property
    def about(self) -> str:
        """The dead letter or the subscription; the same for all keys: order is kept by it."""
        message = self.message
        if isinstance(message, DeadLetterIntent):
            return message.dead_letter
        if isinstance(message, KeyIntent):
            return ORDER  # a key that is registered and revoked ends revoked
        if isinstance(message, EraseSubject):
            return str(self.data["subject"])  # the pseudonym
        return f"{message.team}/{message.name}"


def decide_request(request: ReceivedRequest) -> Fact:
    """Decide on ``request``: one fact."""
    if request.expirytime is not None and request.now >= request.expirytime:
        return IntentExpired(
            operation=request.operation,
            intent=request.intent,
            caller=request.caller,
            resource=None,
            requested=request.data,
            expired_at=request.expirytime,
        )
    if request.forbidden is not None:
        return _denied(request, "forbidden", request.forbidden)
    if violation := _unknown_service(request.message):
        return _denied(request, "unknown_service", violation)
    return RequestAllowed(
        operation=request.operation,
        intent=request.intent,
        caller=request.caller,
        requested=request.data,
        about=request.about,
    )


def _denied(request: ReceivedRequest, reason: DenialReason, violation: Violation) -> Fact:
    return IntentDenied(
        operation=request.operation,
        intent=request.intent,
        caller=request.caller,
        resource=None,
        requested=request.data,
        reason=reason,
        violations=(violation,),
    )


def _unknown_service(
    message: RequestIntent,
) -> Violation | None:
    if not isinstance(message, DeadLetterIntent) or message.service in topics.SERVICES:
        return None
    services = listed(topics.SERVICES)
    return Violation(
        rule="unknown_service",
        message=f"there is no service called {message.service}",
        fix=did_you_mean(
            message.service, topics.SERVICES, otherwise=f"the services are {services}"
        ),
        pointer="/service",
    )
