"""The gateway in this process: its HTTP called directly, its engine fed with records by hand."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from busbar.gateway.adapters import AuditResponse, AuditUnavailable
from busbar.gateway.handlers import Gateway
from busbar.gateway.routes.application import create_app
from busbar.gateway.routes.backpressure import Backpressure, Limits
from busbar.gateway.routes.dependencies import AuditReader, Dependencies
from busbar.gateway.routes.openapi import DocumentedApp
from busbar.gateway.routes.queries import Queries
from busbar.kernel.ids import operation_id
from busbar.messages.base import Fact
from busbar.messages.codec import kafka as codec
from busbar.messages.envelope import Envelope
from busbar.messages.resource import ApplyResource
from busbar.runtime.consume.dead_letters import DeadLetters
from busbar.runtime.consume.engine import Engine
from busbar.runtime.core.bus import Record
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.http.server import AsgiApp
from busbar.runtime.store import Store, StoredEvent, open_store
from busbar.testing import ManualClock
from support.personal import no_personal_data
from support.runtime import (
    BEGIN,
    cipher,
)
from unit.gateway.described import Described

FactT = TypeVar("FactT", bound=Fact)

TOKEN = "a-token-for-tests"  # noqa: S105 - the tests' own, it opens nothing
SOURCE = "urn:team:payments"
ORDERS = {"team": "payments", "environment": "dev", "promise": "event-stream", "name": "orders"}
STRUCTURED = {"content-type": "application/cloudevents+json"}
PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer; ``raised`` is what the application let through after it had answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    raised: Exception | None = None

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def problem(self) -> dict[str, Any]:
        """The problem, once it is known to be a whole one."""
        assert self.headers["content-type"] == PROBLEM, self
        body: dict[str, Any] = self.json
        assert set(body) == {"type", "title", "status", "detail", "code", "fix"}
        assert body["status"] == self.status
        assert body["type"] == f"urn:busbar:problem:{body['code']}"
        assert all(body[name] for name in ("title", "detail", "code", "fix")), body
        return body


@dataclass(slots=True)
class _Sink:
    leaves: bool = False
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)

    async def send(self, message: Any) -> None:
        if self.leaves:
            raise ConnectionError
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message.get("body", b"")


class Api:
    """Calls an ASGI application as an HTTP server would.

    An answer that the application's OpenAPI document does not describe fails the test.
    """

    def __init__(self, app: AsgiApp) -> None:
        self.app = app
        self.chunks_read = 0
        documented = getattr(app, "_inner", app)
        self.described = (
            Described(documented.openapi()) if isinstance(documented, DocumentedApp) else None
        )

    async def request(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        body: bytes | Sequence[bytes] = b"",
        token: str | None = TOKEN,
        leaves: bool = False,
    ) -> Reply:
        """Send a request; a client that ``leaves`` is gone before anything is sent to it."""
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
        if token is not None:
            pairs.append(("authorization", f"Bearer {token}"))
        chunks = [body] if isinstance(body, bytes) else list(body)
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in pairs],
            "server": ("gateway", 80),
            "client": ("127.0.0.1", 1),
        }
        self.chunks_read = 0

        async def receive() -> Any:
            if self.chunks_read >= len(chunks):
                await asyncio.Event().wait()  # a client that stays and waits for the answer
            self.chunks_read += 1
            chunk = chunks[self.chunks_read - 1]
            more = self.chunks_read < len(chunks)
            return {"type": "http.request", "body": chunk, "more_body": more}

        sink, raised = _Sink(leaves), None
        try:
            await self.app(scope, receive, sink.send)
        except Exception as error:  # noqa: BLE001 - a server logs it; tests look at it
            raised = error
        if self.described is not None and sink.status:
            self.described.check(method, unquote(path), sink.status, sink.headers, bytes(sink.body))
        return Reply(sink.status, sink.headers, bytes(sink.body), raised)

    async def get(self, target: str, **more: Any) -> Reply:
        return await self.request("GET", target, **more)

    async def post(self, event: Mapping[str, Any] | bytes, **headers: str) -> Reply:
        """POST a structured event."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        return await self.request(
            "POST", "/v1/events", headers={**STRUCTURED, **headers}, body=body
        )


class FakeAudit:
    """Gives a prepared answer, and records the requests."""

    def __init__(self) -> None:
        self.answer: AuditResponse | None = AuditResponse(
            200, "application/json", b'{"items":[],"next":null}'
        )
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def get(self, path: str, query: Mapping[str, str]) -> AuditResponse:
        self.asked.append((path, dict(query)))
        if self.answer is None:
            raise AuditUnavailable("connection refused")
        return self.answer


class Platform:
    """Facts of the other services, delivered to the gateway's engine."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store, self.clock = store, clock
        dead_letters = DeadLetters("gateway", cipher())
        self.engine = Engine(Gateway().service(), store, dead_letters, clock=clock, attempts=2)
        self._offsets: dict[str, int] = defaultdict(int)
        self._count = 0

    def record(self, fact: Fact, *, id_: str | None = None, topic: str | None = None) -> Record:
        """The next record of its topic that carries ``fact``."""
        self._count += 1
        self.clock.advance(1)
        topic = topic or fact.TOPIC
        envelope = Envelope(
            id=id_ or f"fact-{self._count}",
            source="/busbar/elsewhere",
            type=fact.TYPE,
            time=self.clock.now(),
            data=fact.model_dump(mode="json"),
            key="k",
        )
        headers, value, key = codec.write(envelope)
        offset = self.next_offset(topic)
        return Record(topic, 0, offset, 0, key, value, headers)

    def next_offset(self, topic: str) -> int:
        """The offset of the next record of ``topic``, which has one partition here."""
        self._offsets[topic] += 1
        return self._offsets[topic] - 1

    async def publish(self, *facts: Fact) -> None:
        await self.engine.handle_batch([self.record(fact) for fact in facts])

    async def stored(self, prefix: str = "intent/") -> list[StoredEvent]:
        """Return the gateway's events in streams with this prefix."""
        found = await self.store.events(limit=10_000)
        return [event for event in found if event.stream.startswith(prefix)]


def app_over(
    store: Store,
    audit: AuditReader,
    *,
    key: Cipher | None = None,
    token: str = TOKEN,
    limits: Limits | None = None,
    policy: FakeAudit | None = None,
) -> FastAPI:
    dependencies = Dependencies(
        store=store,
        queries=Queries(store),
        backpressure=Backpressure(store, limits or Limits()),
        audit=audit,
        policy=policy or FakeAudit(),
        token=SecretStr(token),
        cipher=key or cipher(),
        personal=no_personal_data(),
    )
    return create_app(version="1.2.3", dependencies=dependencies)


def event(number: int = 1, *, name: str = "orders", **attributes: Any) -> dict[str, Any]:
    """A structured intent to apply ``payments/dev/event-stream/<name>``."""
    return {
        "specversion": "1.0",
        "id": f"intent-{number}",
        "source": SOURCE,
        "type": ApplyResource.TYPE,
        "data": {**ORDERS, "name": name, "spec": {}},
        **attributes,
    }


def operation_of(number: int = 1) -> str:
    return str(operation_id(SOURCE, f"intent-{number}"))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(BEGIN)


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    opened = await open_store(tmp_path / "gateway.db", service="gateway", clock=clock)
    yield opened
    await opened.close()


@pytest.fixture
def audit() -> FakeAudit:
    return FakeAudit()


@pytest.fixture
def policy() -> FakeAudit:
    return FakeAudit()


@pytest.fixture
def api(store: Store, audit: FakeAudit, policy: FakeAudit) -> Api:
    return Api(app_over(store, audit, policy=policy))


@pytest.fixture
def platform(store: Store, clock: ManualClock) -> Platform:
    return Platform(store, clock)


def fact_of(model: type[FactT], number: int = 1, **fields: Any) -> FactT:
    """The first example of ``model`` about the operation ``number`` and its resource."""
    about: dict[str, Any] = {
        "operation": operation_of(number),
        "resource": "payments/dev/event-stream/orders",
        "intent": {"source": SOURCE, "id": f"intent-{number}", "type": ApplyResource.TYPE},
    }
    known = {name: value for name, value in about.items() if name in model.model_fields}
    return model.model_validate({**model.EXAMPLES[0], **known, **fields})
