"""The handlers of the notifier, wired together."""

import secrets as randomness
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Protocol

from busbar.kernel.clock import Clock
from busbar.kernel.ids import operation_id
from busbar.messages import topics
from busbar.messages.base import Fact, IntentRef
from busbar.messages.catalogue import BY_TYPE
from busbar.messages.codec import http as codec
from busbar.messages.envelope import Envelope
from busbar.messages.notification import (
    ApplySubscription,
    DeleteSubscription,
    DeliveriesResent,
    ResendDeliveries,
    SendTestEvent,
    Subscribed,
    SubscriptionRefused,
    SubscriptionTestRequested,
    Unsubscribed,
    WebhookAttempted,
    WebhookDelivered,
    WebhookExhausted,
)
from busbar.messages.selection import team_of
from busbar.messages.trace import valid
from busbar.notifier.domain import (
    DELIVERABLE,
    Attempt,
    Delivered,
    RetryLater,
    RetryPolicy,
    SecretProblem,
    SubscriptionState,
    WebhookRequest,
    WebhookSecret,
    decide_subscription,
    evolve,
    headers,
    matches,
    next_attempt,
)
from busbar.notifier.handlers.deliveries import (
    SUBSCRIPTION,
    WEBHOOK,
    keep,
    record_attempt,
    schedule,
    stream_of,
    subscriptions_of,
)
from busbar.notifier.handlers.requests import deliver_test, discard, request_test, resend
from busbar.notifier.telemetry import measure_delivery, observe_attempt
from busbar.runtime.consume.service import Received, RecordFilter, Service
from busbar.runtime.core.bus import Record
from busbar.runtime.store import Document, Transaction
from busbar.runtime.tasks.runner import Work
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()

GATHER_SECONDS = 0.1
"""Facts are gathered this long into one batch; a webhook takes longer than that anyway."""

EMITS = (
    Subscribed,
    SubscriptionRefused,
    Unsubscribed,
    SubscriptionTestRequested,
    DeliveriesResent,
    WebhookAttempted,
    WebhookDelivered,
    WebhookExhausted,
)

ONCE = RetryPolicy(delays=())
"""The policy of test events: one attempt, whose outcome ends the operation."""

UrlCheck = Callable[[str], str | None]
"""Returns what is wrong with a subscription's URL, or None."""


class Sender(Protocol):
    """Makes single attempts; never retries."""

    async def send(self, request: WebhookRequest) -> Attempt:
        """POST ``request``; any behaviour of the network or the receiver is an outcome."""
        ...


class Secrets(Protocol):
    """The secrets that subscriptions refer to."""

    async def webhook_secrets(
        self, ref: str, *, team: str
    ) -> tuple[WebhookSecret, ...] | SecretProblem:
        """Return the secrets of ``ref``: the current one first, then those being rotated out.

        They must be owned by ``team``: otherwise one team could sign in another's name.
        """
        ...


class Notifier:
    """Delivers facts to subscribers through ``sender``.

    Webhooks are signed with ``secrets`` and retried by ``policy``.
    """

    def __init__(
        self,
        sender: Sender,
        secrets: Secrets,
        *,
        url_problem: UrlCheck,
        policy: RetryPolicy,
        clock: Clock,
    ) -> None:
        self._sender = sender
        self._secrets = secrets
        self._url_problem = url_problem
        self._policy = policy
        self._clock = clock

    def service(self) -> Service:
        """Return the service with its handlers registered."""
        service = Service(
            "notifier",
            emits=EMITS,
            executes=[topics.FACTS_NOTIFICATION],
            gather_seconds=GATHER_SECONDS,
        )
        service.on_request(ApplySubscription, self.subscribe)
        service.on_request(DeleteSubscription, self.subscribe)
        service.on_request(SendTestEvent, request_test)
        service.on_request(ResendDeliveries, resend)
        service.on(SubscriptionTestRequested, deliver_test)
        service.on_discard(discard)
        service.on_batch(self.select_relevant)
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
        """Create, change or delete a subscription."""
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

    async def select_relevant(self, records: Sequence[Record], tx: Transaction) -> RecordFilter:
        """Skip the facts of teams without subscriptions, which are most facts."""
        if any(record.topic == topics.FACTS_REQUEST for record in records):
            return lambda _: True  # the batch may create a subscription
        teams = {team for record in records if (team := _team_in_key(record)) is not None}
        idle = teams - await tx.documents.parents(SUBSCRIPTION, teams)
        # A test event has to end its operation even if its subscription is gone by now.
        own = topics.FACTS_NOTIFICATION
        return lambda record: record.topic == own or _team_in_key(record) not in idle

    async def fan_out(self, received: Received[Any], tx: Transaction) -> None:
        """Schedule a durable delivery for every subscription that matches this fact."""
        envelope, fact = received.envelope, received.message
        team = _team_of(envelope)
        if team is None:
            return
        async for subscription in subscriptions_of(team, tx):
            if matches(subscription, envelope.type, fact.resource_id, envelope.data):
                await schedule(subscription, received, tx)

    async def deliver(self, work: Work) -> None:
        """Make one attempt at one delivery, and record its outcome."""
        data, attempt = work.claim.data, work.claim.attempts
        parent = valid(data.get("traceparent"))
        with observe_attempt(parent, attempt, clock=self._clock) as observed:
            observed.outcome = outcome = await self._attempt(data, observed.traceparent)
            log.info(
                "webhook_attempted",
                subscription=data["subscription"],
                event_id=data["event"],
                attempt=attempt,
                outcome=outcome.reason,
            )
        verdict = next_attempt(
            attempt,
            outcome,
            jitter=randomness.randbelow(1_000_000) / 1_000_000,
            now=self._clock.now(),
            policy=ONCE if data["event_type"] == SubscriptionTestRequested.TYPE else self._policy,
        )

        async def record(tx: Transaction) -> None:
            ended = (verdict, outcome.reason, observed.seconds)
            await record_attempt(data, attempt, ended, traceparent=observed.traceparent, tx=tx)
            if isinstance(verdict, RetryLater):
                again = tx.now + timedelta(seconds=verdict.after_seconds)
                await tx.tasks.finish(work.claim, again=again)
                return
            if isinstance(verdict, Delivered):
                measure_delivery(tx, data.get("time"))
            await keep(data, verdict, tx)
            await tx.tasks.remove(work.claim)

        await work.record(record, reads=[stream_of(data)])

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


def _team_in_key(record: Record) -> str | None:
    """Return the team in a fact's key (a resource or a subscription), or None.

    Only relays publish facts, and a fact is keyed by what it is about.
    """
    team, slash, _ = (record.key or b"").partition(b"/")
    return team.decode(errors="replace") if slash else None


def _team_of(envelope: Envelope) -> str | None:
    """Return the team that an event is about; its data has not been validated."""
    data = envelope.data if isinstance(envelope.data, dict) else {}
    resource = data.get("resource")
    return team_of(resource if isinstance(resource, str) else None, data)
