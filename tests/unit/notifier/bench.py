"""The notifier over a real store, fed by hand: its records, its tasks, what it recorded."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from busbar.kernel.ids import operation_id
from busbar.messages.base import Intent, Message
from busbar.messages.catalogue import BY_TYPE
from busbar.messages.codec import kafka as codec
from busbar.messages.envelope import Envelope
from busbar.messages.notification import (
    ApplySubscription,
    WebhookAttempted,
)
from busbar.messages.resource import ResourceProvisioned
from busbar.notifier.domain import (
    Attempt,
    RetryPolicy,
    SecretProblem,
    WebhookRequest,
    WebhookSecret,
    unknown_secret,
)
from busbar.notifier.handlers import WEBHOOK, Notifier, Secrets
from busbar.runtime.consume.dead_letters import DeadLetters
from busbar.runtime.consume.engine import Engine
from busbar.runtime.core.bus import Record
from busbar.runtime.store import Claim, Store, Transaction
from busbar.runtime.tasks.runner import Work
from busbar.testing import ManualClock
from support.requests import allowed
from support.runtime import (
    SOURCE,
    cipher,
)
from support.sql import own

URL = "https://payments.example/hook"
REF = "secret:s"
OLD, NEW = WebhookSecret(b"o" * 32), WebhookSecret(b"n" * 32)
LEASE = 5.0


class FakeSender:
    """Answers each attempt with the next outcome, and with 204 when there is none left."""

    def __init__(self) -> None:
        self.outcomes: list[Attempt | BaseException] = []
        self.requests: list[WebhookRequest] = []

    async def send(self, request: WebhookRequest) -> Attempt:
        self.requests.append(request)
        outcome = self.outcomes.pop(0) if self.outcomes else Attempt(status=204)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    @property
    def signatures(self) -> list[str]:
        return [request.headers["webhook-signature"] for request in self.requests]

    @property
    def ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.requests]


class FakeSecrets:
    """Secrets in memory."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[WebhookSecret, ...]] = {REF: (OLD,)}

    async def webhook_secrets(
        self, ref: str, *, team: str
    ) -> tuple[WebhookSecret, ...] | SecretProblem:
        return self.known.get(ref) or unknown_secret(ref, team=team)


class Killed(BaseException):
    """The process is gone: nothing after this runs."""


class Bench:
    """The notifier's engine fed by hand, and its tasks worked on by hand."""

    def __init__(self, store: Store, clock: ManualClock, *, secrets: Secrets | None = None) -> None:
        self.store, self.clock = store, clock
        self.sender, self.secrets = FakeSender(), FakeSecrets()
        self.notifier = Notifier(
            self.sender,
            secrets or self.secrets,
            url_problem=lambda url: "it is refused" if "evil" in url else None,
            policy=RetryPolicy(delays=(5, 30), spread=0),
            clock=clock,
        )
        dead_letters = DeadLetters("notifier", cipher())
        service = self.notifier.service()
        self.engine = Engine(service, store, dead_letters, clock=clock, attempts=2)
        self._offset = 0
        self.attempted: list[WebhookAttempted] = []

    def record(
        self,
        message: Message | None = None,
        *,
        id_: str | None = None,
        topic: str | None = None,
        type_: str = "",
        data: Any = None,
        trace: str | None = None,
        asked: str | None = None,
        time: datetime | None = None,
        about: str = "k",
    ) -> Record:
        self._offset += 1
        if message is not None:
            type_, data = message.TYPE, message.model_dump(mode="json")
            topic = topic or message.TOPIC
        id_ = id_ or f"event-{self._offset}"
        if isinstance(message, Intent):
            request = allowed(type(message), data, source=SOURCE, id_=id_)
            id_, type_, topic = f"allowed-{id_}", request.TYPE, request.TOPIC
            data = request.model_dump(mode="json")
        envelope = Envelope(
            id=id_,
            source=SOURCE,
            type=type_,
            time=time,
            extensions={
                name: value
                for name, value in (("traceparent", trace), ("onbehalfof", asked))
                if value
            },
            data=data,
            key=about,
        )
        headers, value, key = codec.write(envelope)
        return Record(topic or "", 0, self._offset, 0, key, value, headers)

    async def hear(self, *messages: Message) -> list[Message]:
        """Consume ``messages`` and return the facts that the notifier records."""
        return await self.handle(*(self.record(message) for message in messages))

    async def handle(self, *records: Record) -> list[Message]:
        before = await self.store.last_position()
        await self.engine.handle_batch(records)
        return await self.recorded(after=before)

    async def recorded(self, *, after: int = 0) -> list[Message]:
        found = await self.store.events(after=after, limit=10_000)
        return [BY_TYPE[event.type].model_validate_json(event.data) for event in found]

    async def subscribe(self, name: str = "payments/s", *types: str, **fields: Any) -> Message:
        team, _, own = name.partition("/")
        wanted = types or ("busbar.resource.*",)
        intent = {"team": team, "name": own, "url": URL, "types": wanted, "secret": REF, **fields}
        (fact,) = await self.hear(ApplySubscription.model_validate(intent))
        return fact

    async def due(self) -> dict[str, Mapping[str, Any]]:
        """The deliveries that could be claimed now or are claimed: what they carry."""
        return {claim.name: claim.data for claim in await self.claim(holder="a look", lose=True)}

    async def claim(self, *, holder: str = "worker", lose: bool = False) -> list[Claim]:
        claims: list[Claim] = []

        async def body(tx: Transaction) -> None:
            found = await own(tx).tasks.claim(
                WEBHOOK, holder=holder, lease=timedelta(seconds=LEASE), limit=10_000
            )
            claims.extend(found)
            if lose:
                raise Killed

        with suppress(Killed):
            await self.store.transact(body)
        return claims

    async def work(self) -> list[Message]:
        """Make one attempt at everything that is due; the deliveries that ended.

        Failed attempts that others follow are in ``attempted``.
        """
        before = await self.store.last_position()
        for claim in await self.claim():
            await self.notifier.deliver(Work(claim, self.store))
        recorded = await self.recorded(after=before)
        self.attempted += [fact for fact in recorded if isinstance(fact, WebhookAttempted)]
        return [fact for fact in recorded if not isinstance(fact, WebhookAttempted)]


def provisioned(team: str = "payments", number: int = 1) -> ResourceProvisioned:
    return ResourceProvisioned.model_validate(
        {
            **ResourceProvisioned.EXAMPLES[0],
            "resource": f"{team}/dev/event-stream/orders",
            "operation": operation_id(SOURCE, str(number)),
        }
    )
