"""Why: the records of one operation or resource as a chain of plain sentences."""

from collections.abc import Iterable
from dataclasses import dataclass

from busbar.audit.domain.records import AuditRecord
from busbar.messages import topics
from busbar.messages.base import Message
from busbar.messages.catalogue import INTENT_TYPES
from busbar.messages.delivery import (
    DeadLetterDiscarded,
    DeadLettered,
    DeadLetterRecovered,
    DeadLetterRedriven,
)
from busbar.messages.notification import (
    Subscribed,
    SubscriptionRefused,
    Unsubscribed,
    WebhookDelivered,
    WebhookExhausted,
)
from busbar.messages.policy import IntentAllowed, IntentConflicted, IntentDenied, IntentExpired
from busbar.messages.resource import (
    ResourceDeleted,
    ResourceFailed,
    ResourceProvisioned,
    ResourceQueued,
    ResourceStuck,
    StepFailed,
    StepStarted,
    StepSucceeded,
    StepUndone,
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One link of the chain, and where its record is."""

    time: str
    text: str
    topic: str
    partition: int
    offset: int
    operation: str | None


def explain(records: Iterable[AuditRecord]) -> list[Sentence]:
    """The chain, oldest first. A record that was published twice is told once."""
    told: dict[tuple[str, str, str], Sentence] = {}
    for record in records:
        text = _say(record)
        if text is None:
            continue
        identity = (record.source, record.id, "" if record.is_intent else text)
        sentence = Sentence(
            record.time or record.recorded_time,
            text,
            record.topic,
            record.partition,
            record.offset,
            record.operation,
        )
        if identity in told:
            continue
        told[identity] = sentence
    # At the same moment, what was asked for comes before what came of it.
    return sorted(told.values(), key=lambda told: (told.time, told.topic not in topics.INTENTS))


def _say(record: AuditRecord) -> str | None:
    if record.is_intent:
        return _say_intent(record)
    fact = record.fact()
    if fact is None:
        return None
    return _say_policy(fact) or _say_step(fact) or _say_end(fact) or _say_notification(fact)


def _say_intent(record: AuditRecord) -> str | None:
    if not record.readable:
        return None
    known = record.type in INTENT_TYPES
    verb = record.type.rsplit(".", 2)[-2] if known else f"{record.type}, which is no intent"
    what = f" of {record.resource}" if record.resource else ""
    return f"{record.source} asked for: {verb}{what} (intent {record.id})."


def _say_policy(fact: Message) -> str | None:
    match fact:
        case IntentAllowed():
            rules = ", ".join(fact.rules) or "no rule applied"
            warned = "".join(f" Warning: {warning.message}." for warning in fact.warnings)
            return (
                f"Policy allowed it by promise {fact.promise.name} {fact.promise.version} "
                f"({fact.promise.digest[:15]}…); rules satisfied: {rules}.{warned}"
            )
        case IntentDenied():
            reasons = " ".join(
                f"[{violation.rule}] {violation.message}. To fix it: {violation.fix}."
                for violation in fact.violations
            )
            return f"Policy denied it ({fact.reason}). {reasons}"
        case IntentExpired():
            return "It had expired before it could be decided; nothing was done."
        case IntentConflicted():
            return "The same id came again with another body; the first one counts."
        case _:
            return None


def _say_step(fact: Message) -> str | None:
    match fact:
        case ResourceQueued():
            steps = ", ".join(step.name for step in fact.plan.steps)
            plan = f"; plan: {steps}" if steps else ""
            return f"The provisioner took it over as generation {fact.generation}{plan}."
        case StepStarted():
            return (
                f"Step {fact.step}: saw {fact.observed}, so it set out to {fact.action} "
                f"({fact.adapter}, epoch {fact.epoch}, attempt {fact.attempt})."
            )
        case StepSucceeded():
            how = "was as asked for already"
            if fact.changed:
                how = "is done"
            if fact.observed_after_unknown:
                how = f"was found done by epoch {fact.epoch}, after an earlier run was cut off"
            return f"Step {fact.step} {how}."
        case StepFailed():
            again = "for good" if fact.permanent else "and will be tried again"
            return f"Step {fact.step} failed {again} ({fact.reason}): {fact.detail}."
        case StepUndone():
            how = "was removed again" if fact.was_there else "had left nothing behind"
            return f"Step {fact.step} {'was put back as it was' if fact.restored else how}."
        case _:
            return None


def _say_end(fact: Message) -> str | None:
    match fact:
        case ResourceProvisioned():
            outputs = ", ".join(f"{name}={value}" for name, value in fact.outputs.items())
            return f"It is provisioned ({fact.change}): {outputs or 'no outputs'}."
        case ResourceDeleted():
            return "It is deleted; nothing of it is left."
        case ResourceFailed():
            left = "nothing is left of it" if fact.left == "absent" else "it is as it was before"
            return f"It failed at step {fact.failed_step} and was compensated: {left}."
        case ResourceStuck():
            return f"It is stuck at step {fact.step}: {fact.detail}. {fact.remedy}"
        case DeadLettered():
            return f"{fact.service} could not handle a record ({fact.reason}): {fact.detail}."
        case DeadLetterRecovered():
            return f"{fact.service} has handled dead letter {fact.dead_letter} after all."
        case DeadLetterDiscarded():
            return f"{fact.service} was to give up dead letter {fact.dead_letter}: {fact.outcome}."
        case DeadLetterRedriven():
            how = f"{fact.outcome} ({fact.detail})" if fact.detail else fact.outcome
            return f"{fact.service} was to handle dead letter {fact.dead_letter} again: {how}."
        case _:
            return None


def _say_notification(fact: Message) -> str | None:
    match fact:
        case Subscribed():
            return f"{fact.subscription} is subscribed to {', '.join(fact.types)}."
        case Unsubscribed():
            return f"{fact.subscription} is no longer subscribed."
        case SubscriptionRefused():
            return f"The subscription was refused: {fact.detail}; {fact.fix}."
        case WebhookDelivered():
            return (
                f"{fact.subscription} was told of {fact.event_type} "
                f"(attempt {fact.attempt}, status {fact.status})."
            )
        case WebhookExhausted():
            return (
                f"{fact.subscription} could not be told of {fact.event_type} "
                f"after {fact.attempts} attempts: {fact.reason}."
            )
        case _:
            return None
