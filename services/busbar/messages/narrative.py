"""Describes facts in plain sentences; every history that people read is made of them."""

from typing import Final

from busbar.kernel.clock import format_time
from busbar.messages.base import Message
from busbar.messages.caller import Caller
from busbar.messages.delayed import ResourceDelayed
from busbar.messages.delivery import (
    DeadLetterDiscarded,
    DeadLettered,
    DeadLetterRecovered,
    DeadLetterRedriven,
    HeadKeyRevoked,
    HeadPublished,
)
from busbar.messages.identity import (
    KeyRefused,
    KeyRegistered,
    KeyRevoked,
    PrincipalDeclared,
    PrincipalRemoved,
    SubjectErased,
)
from busbar.messages.intervention import (
    Intervened,
    InterventionAllowed,
    OperationAbandoned,
    ResourceReleased,
)
from busbar.messages.notification import (
    DeliveriesResent,
    Subscribed,
    SubscriptionRefused,
    SubscriptionTestRequested,
    Unsubscribed,
    WebhookAttempted,
    WebhookDelivered,
    WebhookExhausted,
)
from busbar.messages.policy import (
    IntentAllowed,
    IntentConflicted,
    IntentDenied,
    IntentExpired,
)
from busbar.messages.request import RequestAllowed
from busbar.messages.resource import (
    ResourceDeleted,
    ResourceFailed,
    ResourceProvisioned,
    ResourceQueued,
    ResourceStuck,
    StepFailed,
    StepRetained,
    StepStarted,
    StepSucceeded,
    StepUndone,
)

SILENT: Final[frozenset[type[Message]]] = frozenset({HeadPublished})
"""Facts that concern no operation or resource, so that no history shows them."""

_DIGEST_CHARS: Final = 15
_KEY_CHARS: Final = 8


def narrate(fact: Message) -> str | None:
    """Return the sentence for ``fact``, or None if it is one of :data:`SILENT`."""
    if type(fact) in SILENT:
        return None
    known = _policy(fact) or _step(fact) or _end(fact) or _intervention(fact)
    known = known or _dead_letter(fact) or _identity(fact) or _webhook(fact)
    return f"{known}{_asked(fact)}" if known else undescribed(fact.TYPE)


def _asked(fact: Message) -> str:
    """Return who asked for what policy decided, and how that is known."""
    caller: Caller | None = getattr(fact, "caller", None)
    if caller is None:
        return ""
    if caller.principal is None:
        return " It is not known who asked: it is not signed."
    other = f" for {caller.onbehalfof}" if caller.onbehalfof else ""
    how = "relayed by the gateway" if caller.verified == "relayed" else "signed"
    key = f" with key {caller.key[:_KEY_CHARS]}…" if caller.key and how == "signed" else ""
    return f" Asked by {caller.principal}{other}, {how}{key}."


def undescribed(type_: str) -> str:
    """Return the sentence for a fact of a type that has no sentence of its own."""
    return f"A fact of type {type_} was recorded."


def narrate_invalid(*, source: str, type_: str, topic: str, problem: str) -> str:
    """Return the sentence for a record that is not a valid fact; ``problem`` says why."""
    return f"{source} published {type_} on {topic}, which is ignored: {problem}."


def _policy(fact: Message) -> str | None:
    match fact:
        case IntentAllowed():
            rules = f"rules satisfied: {', '.join(fact.rules)}" if fact.rules else "no rule applied"
            warnings = "".join(f" Warning: {warning.message}." for warning in fact.warnings)
            return (
                f"Policy allowed it by promise {fact.promise.name} {fact.promise.version} "
                f"({fact.promise.digest[:_DIGEST_CHARS]}…); {rules}.{warnings}"
            )
        case IntentDenied():
            reasons = " ".join(
                f"[{violation.rule}] {violation.message}. To fix it: {violation.fix}."
                for violation in fact.violations
            )
            return f"Policy denied it ({fact.reason}). {reasons}"
        case IntentExpired():
            return "It expired before it was decided; nothing was done."
        case IntentConflicted():
            return "The same id was used again with a different body; the first one counts."
        case _:
            return None


def _step(fact: Message) -> str | None:
    match fact:
        case ResourceQueued():
            steps = ", ".join(step.name for step in fact.plan.steps)
            plan = f"; plan: {steps}" if steps else ""
            if fact.joins is not None:
                plan = f"; operation {fact.joins} does the same, and both end together"
            return f"The provisioner queued it as generation {fact.generation}{plan}."
        case StepStarted():
            return (
                f"Step {fact.step}: observed {fact.observed}, so the action is {fact.action} "
                f"({fact.adapter}, epoch {fact.epoch}, attempt {fact.attempt})."
            )
        case StepSucceeded():
            how = "is done" if fact.changed else "was already as requested"
            if fact.observed_after_unknown:
                how = f"was found done by epoch {fact.epoch}, after an earlier run was interrupted"
            return f"Step {fact.step} {how}."
        case StepFailed():
            how = "permanently" if fact.permanent else "and will be retried"
            return f"Step {fact.step} failed {how} ({fact.reason}): {fact.detail}."
        case StepUndone():
            how = "was removed" if fact.was_there else "had left nothing to remove"
            return f"Step {fact.step} {'was restored' if fact.restored else how}."
        case StepRetained():
            return (
                f"Step {fact.step} stays as it is, observed {fact.presence} "
                f"({fact.reason}): {fact.detail}."
            )
        case _:
            return None


def _end(fact: Message) -> str | None:
    match fact:
        case ResourceProvisioned():
            outputs = ", ".join(f"{name}={value}" for name, value in fact.outputs.items())
            return f"It is provisioned ({fact.what_happened}): {outputs or 'no outputs'}."
        case ResourceDeleted():
            if not fact.existed:
                return "There was nothing to delete."
            return "It is deleted; nothing of it is left."
        case ResourceFailed():
            at = f"at step {fact.failed_step}" if fact.failed_step else f"({fact.reason})"
            return f"It failed {at}{_undone(fact)}: {fact.what_is_left}."
        case ResourceDelayed():
            until = format_time(fact.until)
            return (
                f"It waits until {until}, as an unanswered call of step {fact.step} may still be "
                "carried out; then it looks again."
            )
        case ResourceStuck():
            return f"It is stuck at step {fact.step}: {fact.detail}. {fact.remedy}"
        case _:
            return None


def _undone(fact: ResourceFailed) -> str:
    if fact.undone:
        return " and was undone in part" if fact.remains else " and was undone"
    return " and was not undone" if fact.remains else ""


def _intervention(fact: Message) -> str | None:
    match fact:
        case RequestAllowed():
            return f"Policy allowed the request about {fact.about}."
        case InterventionAllowed():
            target = f" of operation {fact.target}" if fact.target else ""
            return f"Policy allowed the {fact.action}{target}."
        case OperationAbandoned():
            return (
                f"It was {fact.reason} by operation {fact.by}: no more is tried, and what exists "
                "stays."
            )
        case Intervened():
            return f"Request to {fact.action} operation {fact.target}: {fact.detail}."
        case ResourceReleased():
            remains = "; ".join(map(str, fact.remains)) or "nothing is known to exist"
            return f"It is released and not managed any more: {remains}."
        case _:
            return None


def _dead_letter(fact: Message) -> str | None:
    match fact:
        case DeadLettered(refused=True):
            return (
                f"Service {fact.service} refused {fact.topic}/{fact.partition}/{fact.offset}, which"
                f" it could not read ({fact.reason}): {fact.detail.rstrip('.')}."
            )
        case DeadLettered():
            return f"Service {fact.service} failed on a record ({fact.reason}): {fact.detail}."
        case DeadLetterRecovered():
            return f"Service {fact.service} handled dead letter {fact.dead_letter} in a retry."
        case DeadLetterDiscarded() | DeadLetterRedriven():
            action = "discard" if isinstance(fact, DeadLetterDiscarded) else "redrive"
            outcome = f"{fact.outcome} ({fact.detail})" if fact.detail else fact.outcome
            return (
                f"Request to {action} dead letter {fact.dead_letter} of service {fact.service}: "
                f"{outcome}."
            )
        case _:
            return None


def _identity(fact: Message) -> str | None:
    match fact:
        case PrincipalDeclared():
            return f"The {fact.kind} {fact.principal} is declared."
        case PrincipalRemoved():
            return f"The principal {fact.principal} is not declared any more."
        case KeyRegistered():
            return f"Key {fact.key} is registered for {fact.principal}."
        case KeyRevoked():
            return f"Key {fact.key} of {fact.principal} is revoked: {fact.reason}."
        case SubjectErased(existed=True):
            return f"The personal data of {fact.subject} are erased."
        case SubjectErased():
            return f"There were no personal data of {fact.subject}."
        case HeadKeyRevoked():
            return f"Heads of {fact.relay} that key {fact.key} signs from here on prove nothing."
        case KeyRefused():
            return f"The request was refused: {fact.detail}; {fact.fix}."
        case _:
            return None


def _webhook(fact: Message) -> str | None:
    match fact:
        case Subscribed():
            return f"Subscription {fact.subscription} receives {', '.join(fact.types)}."
        case Unsubscribed():
            return f"Subscription {fact.subscription} is deleted."
        case SubscriptionRefused():
            return f"The subscription was refused: {fact.detail}; {fact.fix}."
        case SubscriptionTestRequested():
            return f"A test event is due to subscription {fact.subscription}."
        case DeliveriesResent():
            return f"Deliveries to {fact.subscription} are due again: {fact.deliveries}."
        case WebhookAttempted():
            return (
                f"Attempt {fact.attempt} to deliver {fact.event_type} to {fact.subscription} "
                f"failed ({fact.reason}); another follows in {fact.retry_seconds:.0f} seconds."
            )
        case WebhookDelivered():
            return (
                f"The webhook for {fact.event_type} was delivered to {fact.subscription} "
                f"(attempt {fact.attempt}, status {fact.status})."
            )
        case WebhookExhausted():
            return (
                f"The webhook for {fact.event_type} could not be delivered to "
                f"{fact.subscription} in {fact.attempts} attempts: {fact.reason}."
            )
        case _:
            return None
