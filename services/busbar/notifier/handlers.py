"""Subscriptions, and the deliveries they cause: each a durable task that survives any kill."""

import secrets as randomness
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

from busbar.kernel.clock import Clock, format_time
from busbar.kernel.errors import Reject
from busbar.kernel.ids import operation_id
from busbar.messages import topics
from busbar.messages.base import Fact, IntentRef, Message
from busbar.messages.catalogue import BY_TYPE
from busbar.messages.codec import http as codec
from busbar.messages.envelope import Envelope
from busbar.messages.notification import (
    ApplySubscription,
    DeleteSubscription,
    Subscribed,
    SubscriptionRefused,
    Unsubscribed,
    WebhookDelivered,
    WebhookExhausted,
)
from busbar.messages.trace import valid
from busbar.notifier.domain import (
    DELIVERABLE,
    Delivered,
    GiveUp,
    Retry,
    RetryPolicy,
    SecretProblem,
    Subscription,
    SubscriptionState,
    decide_subscription,
    evolve,
    headers,
    matches,
    next_attempt,
    team_of,
)
from busbar.notifier.measures import attempting, measure_delivery
from busbar.notifier.ports import Attempt, Secrets, Sender, UrlCheck, WebhookRequest
from busbar.runtime.consume.service import InvalidEvent, Received, RecordFilter, Service
from busbar.runtime.core.bus import Record
from busbar.runtime.store import Cause, Document, Transaction
from busbar.runtime.tasks.runner import Work
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()

GATHER_SECONDS = 0.1
"""A webhook takes longer than that to be received."""

WEBHOOK = "webhook"
SUBSCRIPTION = "subscription"
PAGE = 500
MAX_PLACES = 10
MAX_PLACE_CHARS = 80


class Notifier:
    """Tells subscribers what happened."""

    def __init__(
        self,
        sender: Sender,
        secrets: Secrets,
        *,
        url_problem: UrlCheck,
        policy: RetryPolicy,
        clock: Clock,
    ) -> None:
        """Deliver through ``sender``, signed with ``secrets``, retried by ``policy``."""
        self._sender = sender
        self._secrets = secrets
        self._url_problem = url_problem
        self._policy = policy
        self._clock = clock

    def service(self) -> Service:
        """The service, wired."""
        service = Service("notifier", gather_seconds=GATHER_SECONDS)
        service.on(ApplySubscription, self.subscribe)
        service.on(DeleteSubscription, self.subscribe)
        service.on_invalid(self.refuse)
        service.on_batch(self.choose)
        for type_ in DELIVERABLE:
            service.on(BY_TYPE[type_], self.fan_out)
        service.task(WEBHOOK, self.deliver)
        return service

    # -- subscriptions --------------------------------------------------------------------------

    async def subscribe(
        self,
        received: Received[ApplySubscription] | Received[DeleteSubscription],
        tx: Transaction,
    ) -> None:
        """Put a subscription in force, or end it."""
        intent, envelope = received.message, received.envelope
        stream = f"subscription/{intent.team}/{intent.name}"
        applying = intent if isinstance(intent, ApplySubscription) else None
        state = await tx.load(stream, SubscriptionState(), evolve)
        facts = decide_subscription(
            state,
            intent,
            operation=operation_id(envelope.source, envelope.id),
            intent_ref=IntentRef.of(envelope),
            secret_problem=await self._secret_problem(applying) if applying else None,
            url_problem=self._url_problem(applying.url) if applying else None,
        )
        await tx.append(stream, facts, key=f"{intent.team}/{intent.name}")
        for fact in facts:
            await self._project(fact, intent.team, tx)

    async def _secret_problem(self, intent: ApplySubscription) -> SecretProblem | None:
        found = await self._secrets.webhook_secrets(intent.secret, team=intent.team)
        return found if isinstance(found, SecretProblem) else None

    async def refuse(self, problem: InvalidEvent, tx: Transaction) -> None:
        """Answer a subscription intent whose data do not fit: somebody waits for its operation.

        Raises:
            Reject: it is a fact that does not fit, which is nobody's to answer.
        """
        envelope, places = problem.envelope, _places(problem)
        if problem.record.topic != topics.INTENTS_SUBSCRIPTION:
            raise Reject("invalid_data", f"{envelope.type} does not fit its schema at {places}")
        operation = operation_id(envelope.source, envelope.id)
        fact = SubscriptionRefused(
            operation=operation,
            intent=IntentRef.of(envelope),
            reason="invalid_intent",
            detail=f"the intent's data do not fit its type at {places}",
            fix="mend what is named, then send the intent again under a new id",
        )
        await tx.append(f"operation/{operation}", [fact], key=str(operation))

    async def _project(self, fact: Fact, team: str, tx: Transaction) -> None:
        match fact:
            case Subscribed():
                value = fact.model_dump(mode="json")
                key = fact.subscription
                await tx.documents.put(
                    Document(kind=SUBSCRIPTION, key=key, parent=team, rank=key, value=value)
                )
            case Unsubscribed():
                await tx.documents.remove(SUBSCRIPTION, fact.subscription)
            case _:
                return

    # -- deliveries -----------------------------------------------------------------------------

    async def choose(self, records: Sequence[Record], tx: Transaction) -> RecordFilter:
        """Pass over the facts of teams that subscribed to nothing: most facts are nobody's."""
        if any(record.topic in topics.INTENTS for record in records):
            return lambda _: True  # a subscription may come into force on the way
        teams = {team for record in records if (team := _team_in_key(record)) is not None}
        idle = teams - await tx.documents.parents(SUBSCRIPTION, teams)
        return lambda record: _team_in_key(record) not in idle

    async def fan_out(self, received: Received[Any], tx: Transaction) -> None:
        """Make a durable delivery for every subscription that wants this fact."""
        envelope, message = received.envelope, received.message
        resource, team = _resource(message), _team_of(envelope)
        if team is None:
            return
        async for subscription in _subscriptions(team, tx):
            if not matches(subscription, envelope.type, resource, envelope.data):
                continue
            await tx.tasks.schedule(
                WEBHOOK,
                f"{subscription.key}|{envelope.id}",
                data={
                    "subscription": subscription.key,
                    "url": subscription.url,
                    "secret": subscription.secret,
                    "event": envelope.id,
                    "event_type": envelope.type,
                    "resource": resource,
                    "operation": _operation(message),
                    "correlation": tx.cause.correlation,
                    "time": format_time(envelope.time) if envelope.time else None,
                    "traceparent": tx.cause.traceparent,
                    "body": codec.structured(envelope).decode(),
                },
            )

    async def deliver(self, work: Work) -> None:
        """Make one attempt at one delivery, and record what came of it."""
        data, attempt = work.claim.data, work.claim.attempts
        parent = valid(data.get("traceparent"))
        with attempting(parent, attempt, clock=self._clock) as trying:
            trying.outcome = outcome = await self._attempt(data, trying.traceparent)
            log.info(
                "webhook_attempted",
                subscription=data["subscription"],
                event_id=data["event"],
                attempt=attempt,
                outcome=outcome.reason,
            )
        trace = trying.traceparent
        verdict = next_attempt(
            attempt,
            outcome,
            jitter=randomness.randbelow(1_000_000) / 1_000_000,
            now=self._clock.now(),
            policy=self._policy,
        )

        async def record(tx: Transaction) -> None:
            if isinstance(verdict, Retry):
                again = tx.now + timedelta(seconds=verdict.after_seconds)
                await tx.tasks.finish(work.claim, again=again)
                return
            cause = Cause(data["subscription"], data["event"], data["correlation"], trace)
            tx.caused_by(cause)
            stream = f"delivery/{data['event']}/{data['subscription']}"
            fact = _told(data, attempt, verdict)
            await tx.append(stream, [fact], key=data["resource"] or data["subscription"])
            if isinstance(verdict, Delivered):
                measure_delivery(tx, data.get("time"))
            await tx.tasks.remove(work.claim)

        await work.record(record)

    async def _attempt(self, data: Any, traceparent: str | None) -> Attempt:
        team = data["subscription"].partition("/")[0]
        keys = await self._secrets.webhook_secrets(data["secret"], team=team)
        if isinstance(keys, SecretProblem):
            return Attempt(error="no_secret", detail=f"{keys.detail}: {keys.fix}")
        body = data["body"].encode()
        timestamp = int(self._clock.now().timestamp())
        signed = headers(keys, data["event"], timestamp, body)
        content = {"content-type": codec.CONTENT_TYPE, "user-agent": "busbar-notifier"}
        trace = {"traceparent": traceparent} if traceparent else {}
        request = WebhookRequest(url=data["url"], headers={**content, **trace, **signed}, body=body)
        return await self._sender.send(request)


async def _subscriptions(team: str, tx: Transaction) -> AsyncIterator[Subscription]:
    """Every subscription of ``team``, however many there are."""
    after = None
    while page := await tx.documents.find(SUBSCRIPTION, parent=team, after=after, limit=PAGE):
        for document in page:
            yield Subscription.of(Subscribed.model_validate(document.value))
        after = page[-1].rank


def _team_in_key(record: Record) -> str | None:
    """The team that a fact is about by its key: a resource, or a subscription; None of any other.

    Only relays publish facts, and whoever records one gives it the key of what it is about.
    """
    team, slash, _ = (record.key or b"").partition(b"/")
    return team.decode(errors="replace") if slash else None


def _team_of(envelope: Envelope) -> str | None:
    """The team that a fact is about, before anybody has looked whether it fits."""
    data = envelope.data if isinstance(envelope.data, dict) else {}
    resource = data.get("resource")
    return team_of(resource if isinstance(resource, str) else None, data)


def _places(problem: InvalidEvent) -> str:
    errors = problem.error.errors(include_input=False, include_url=False) if problem.error else []
    told = (f"{_place(item['loc'])}: {item['msg']}" for item in errors[:MAX_PLACES])
    return "; ".join(told)


def _place(parts: tuple[str | int, ...]) -> str:
    """Where it is; a producer's own names may be as long as the whole event."""
    return "".join(f"/{part}"[:MAX_PLACE_CHARS] for part in parts)


def _told(data: Any, attempt: int, verdict: Delivered | GiveUp) -> Message:
    about = {
        "operation": data["operation"],
        "resource": data["resource"],
        "subscription": data["subscription"],
        "event": data["event"],
        "event_type": data["event_type"],
    }
    if isinstance(verdict, Delivered):
        return WebhookDelivered(**about, attempt=attempt, status=verdict.status)
    return WebhookExhausted(**about, attempts=attempt, reason=verdict.reason)


def _resource(message: Message) -> str | None:
    resource = getattr(message, "resource", None)
    return None if resource is None else str(resource)


def _operation(message: Message) -> str | None:
    operation = getattr(message, "operation", None)
    return None if operation is None else str(operation)
