"""A gateway for tests: the real HTTP API on a real loopback socket, without a platform behind it.

It holds what a test puts into it, serves it in pages of two, and fails where a test asks it to.
"""

import asyncio
import base64
import json
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from busbar.kernel.ids import operation_id
from busbar.messages.codec import http as codec
from busbar.messages.envelope import Envelope, Unreadable
from busbar.messages.http import NDJSON
from busbar.messages.signing import PublicKey

TOKEN = "a-token-for-tests"  # noqa: S105 - of a gateway that lives as long as a test
PAGE = 2
TIME = "2026-01-31T12:00:00Z"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
JsonObject = dict[str, Any]


def problem(status: int, code: str, detail: str, fix: str, **headers: str) -> web.Response:
    """An RFC 9457 problem as the gateway writes it."""
    body = {"type": f"urn:busbar:problem:{code}", "title": "Refused", "status": status}
    return web.Response(
        body=json.dumps({**body, "detail": detail, "fix": fix, "code": code}).encode(),
        status=status,
        content_type="application/problem+json",
        headers=headers,
    )


def operation(id_: str, status: str = "succeeded", **more: Any) -> JsonObject:
    """The view of an operation."""
    return {"id": id_, "status": status, "resource": "payments/dev/event-stream/orders", **more}


def resource(id_: str, status: str = "ready", **more: Any) -> JsonObject:
    """The view of a resource."""
    return {"id": id_, "status": status, "generation": 1, **more}


def fact(cursor: int, **more: Any) -> JsonObject:
    """A fact as the gateway lists it."""
    about = {"id": f"fact-{cursor}", "type": "busbar.resource.stuck.v1", "time": TIME}
    where = {"source": "/busbar/provisioner", "topic": "busbar.facts.resource"}
    what: JsonObject = {
        "resource": "payments/dev/event-stream/orders",
        "operation": None,
        "data": {},
    }
    return {**about, **where, **what, "cursor": cursor, **more}


def dead_letter(id_: str, **more: Any) -> JsonObject:
    """A dead letter with its record, as the gateway shows it."""
    where = {"service": "policy", "topic": "t", "partition": 0, "offset": 4}
    why = {"reason": "bad_json", "detail": "", "intent": None, "size": 3, "time": TIME}
    record: JsonObject = {"key": None, "headers": [], "value": "{"}
    return {"dead_letter": id_, **where, **why, "redriven": [], "record": record, **more}


@dataclass
class FakeGateway:
    """A gateway with prepared answers that keeps the requests it gets."""

    published: list[Envelope] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    traces: list[str | None] = field(default_factory=list)
    """The header ``traceparent`` of each request."""
    failures: list[web.Response | None] = field(default_factory=list)
    """Answers to give first, one a request; None drops the connection."""
    broken_off: list[int | None] = field(default_factory=list)
    """After how many lines long answers break off, one an answer; None is whole."""
    outcomes: list[JsonObject] = field(default_factory=list)
    """How operations go: one view a look, the last one stays."""
    operations: list[JsonObject] = field(default_factory=list)
    resources: list[JsonObject] = field(default_factory=list)
    facts: list[JsonObject] = field(default_factory=list)
    dead_letters: list[JsonObject] = field(default_factory=list)
    promises: list[JsonObject] = field(default_factory=list)
    subscriptions: list[JsonObject] = field(default_factory=list)
    principals: list[JsonObject] = field(default_factory=list)
    deliveries: list[JsonObject] = field(default_factory=list)
    records: list[JsonObject] = field(default_factory=list)
    completeness: JsonObject = field(default_factory=lambda: {"complete": True})
    sentences: list[JsonObject] = field(default_factory=list)
    tokens_of: dict[str, PublicKey] = field(default_factory=dict)
    """The key of each principal whose tokens are taken."""
    on_post: Callable[[Envelope], web.Response | None] = lambda _event: None
    silent: set[str] = field(default_factory=set)
    """Paths that are not answered."""
    url: str = ""

    def __post_init__(self) -> None:
        self._bodies: dict[tuple[str, str], Any] = {}

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        app.router.add_post("/v1/events", self._post)
        app.router.add_get("/v1/operations/{id}", self._operation)
        app.router.add_get("/v1/resources/{id:.+}", self._resource)
        app.router.add_get("/v1/dead-letters/{id}", self._dead_letter)
        deliveries = "/v1/subscriptions/{team}/{name}/deliveries"
        app.router.add_get(deliveries, self._deliveries)
        app.router.add_get(f"{deliveries}/{{event}}", self._delivery)
        app.router.add_get("/v1/subscriptions", self._subscriptions)
        app.router.add_get("/v1/promises", self._promises)
        app.router.add_get("/v1/promises/{name}", self._promise)
        app.router.add_get("/v1/principals/{name}", self._principal)
        for path in ("operations", "resources", "dead-letters", "principals"):
            app.router.add_get(f"/v1/{path}", self._list)
        app.router.add_get("/v1/facts", self._facts)
        app.router.add_get("/v1/audit/{what}", self._audit)
        app.router.add_get("/readyz", self._ready)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path_qs}")
        self.traces.append(request.headers.get("traceparent"))
        if request.path in self.silent:
            await asyncio.Event().wait()
        if self.failures:
            failure = self.failures.pop(0)
            if failure is not None:
                return failure
            if request.transport is not None:
                request.transport.close()
        if request.path != "/readyz" and not self._knows(request.headers["Authorization"]):
            return problem(401, "unauthenticated", "the token is wrong", "send the right one")
        return await handler(request)

    def _knows(self, authorization: str) -> bool:
        """Return true for the token, and for one that a principal has signed with its key."""
        token = authorization.removeprefix("Bearer ")
        if token == TOKEN or token.count(".") != 2:
            return token == TOKEN
        header, claims, signature = token.split(".")
        name = json.loads(base64.urlsafe_b64decode(claims + "=="))["sub"]
        signed = f"{header}.{claims}".encode()
        key = self.tokens_of.get(name)
        return key is not None and key.has_signed(
            signed, base64.urlsafe_b64decode(signature + "==")
        )

    async def _post(self, request: web.Request) -> web.StreamResponse:
        try:
            event = codec.read(list(request.headers.items()), await request.read())
        except Unreadable as error:
            return problem(400, error.code, error.detail, "send one CloudEvent")
        refused = self.on_post(event)
        if refused is not None:
            return refused
        identity = (event.source, event.id)
        first = self._bodies.setdefault(identity, event.data)
        if first != event.data:
            return problem(409, "conflict", "the id was used before", "use a new id")
        again = len(self._bodies) == len({(e.source, e.id) for e in self.published})
        self.published.append(event)
        id_ = str(operation_id(*identity))
        about = event.subject
        body = {"operation": id_, "resource": about, "status": "received"}
        headers = {"Location": f"/v1/operations/{id_}"}
        if again:
            headers["Idempotent-Replayed"] = "true"
        return web.json_response(body, status=202, headers=headers)

    async def _operation(self, request: web.Request) -> web.StreamResponse:
        wanted = request.match_info["id"]
        if self.outcomes:
            view = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
            return web.json_response({**view, "id": wanted})
        for known in self.operations:
            if known["id"] == wanted:
                return web.json_response(known)
        return problem(404, "not_found", f"there is no operation {wanted}", "check the id")

    async def _resource(self, request: web.Request) -> web.StreamResponse:
        wanted = request.match_info["id"]
        for known in self.resources:
            if known["id"] == wanted:
                return web.json_response(known)
        return problem(404, "not_found", f"there is no resource {wanted}", "check the name")

    async def _dead_letter(self, request: web.Request) -> web.StreamResponse:
        for known in self.dead_letters:
            if known["dead_letter"] == request.match_info["id"]:
                return web.json_response(known)
        return problem(404, "not_found", "there is no such dead letter", "list them")

    async def _list(self, request: web.Request) -> web.StreamResponse:
        known = {
            "/v1/operations": self.operations,
            "/v1/resources": self.resources,
            "/v1/dead-letters": self.dead_letters,
            "/v1/principals": self.principals,
        }[request.path]
        query = request.query
        found = [
            item
            for item in known
            if item.get("id", "").startswith(query.get("prefix", ""))
            and query.get("status") in (None, item.get("status"))
            and query.get("service") in (None, item.get("service"))
        ]
        return _page(found, int(query.get("after", 0)), always=False)

    async def _subscriptions(self, request: web.Request) -> web.StreamResponse:
        team = request.query.get("team")
        found = [item for item in self.subscriptions if team in {None, item["team"]}]
        return _page(found, int(request.query.get("after", 0)), always=False)

    async def _principal(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        return web.json_response(next(one for one in self.principals if one["principal"] == name))

    async def _deliveries(self, request: web.Request) -> web.StreamResponse:
        wanted = request.query.get("status")
        found = [item for item in self.deliveries if wanted in {None, item["status"]}]
        return _page(found, int(request.query.get("after", 0)), always=False)

    async def _delivery(self, request: web.Request) -> web.StreamResponse:
        for known in self.deliveries:
            if known["event"] == request.match_info["event"]:
                return web.json_response(known)
        return problem(404, "not_found", "there is no such delivery", "list them")

    async def _promises(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response({"items": self.promises})

    async def _promise(self, request: web.Request) -> web.StreamResponse:
        for known in self.promises:
            if known["name"] == request.match_info["name"]:
                return web.json_response(known)
        return problem(404, "not_found", "there is no such promise", "check the name")

    async def _facts(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        after = len(self.facts) if query.get("after") == "now" else int(query.get("after", 0))
        found = [
            item
            for item in self.facts
            if query.get("resource") in (None, item.get("resource"))
            and query.get("operation") in (None, item.get("operation"))
            and (item["resource"] or "").startswith(query.get("team", ""))
            and (item["type"] in query.getall("type", [item["type"]]))
        ]
        return _page(found, after, always=True)

    async def _audit(self, request: web.Request) -> web.StreamResponse:
        match request.match_info["what"]:
            case "records":
                return _page(self.records, int(request.query.get("after", 0)), always=False)
            case "completeness":
                return await self._lines(request, [], end=self.completeness)
            case "explain" if self.sentences:
                return await self._lines(request, self.sentences)
            case "state":
                return await self._lines(request, self.resources)
            case _:
                return problem(404, "not_found", "the log has nothing about it", "check the name")

    async def _lines(
        self, request: web.Request, items: list[JsonObject], *, end: JsonObject | None = None
    ) -> web.StreamResponse:
        """``items`` line by line, every second one with a cursor; breaks off where asked to."""
        response = web.StreamResponse(headers={"Content-Type": NDJSON})
        await response.prepare(request)
        after = int(request.query.get("after", 0))
        lines: list[JsonObject] = []
        for number, item in enumerate(items[after:], start=after + 1):
            lines.append({"progress": {"what": "records", "done": number, "total": len(items)}})
            lines.append({"item": item, "cursor": None if number % 2 else str(number)})
        lines.append({"end": end or {}})
        broken = self.broken_off.pop(0) if self.broken_off else None
        for line in lines[:broken]:
            await response.write(json.dumps(line).encode() + b"\n")
        if broken is not None and request.transport is not None:
            request.transport.close()
        return response

    async def _ready(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response({"service": "gateway", "ready": True, "problems": {}})


def _page(items: list[JsonObject], after: int, *, always: bool) -> web.Response:
    page = items[after : after + PAGE]
    end = after + len(page)
    more = always or len(page) == PAGE
    return web.json_response({"items": page, "next": end if more else None})


class Serving:
    """Serves a :class:`FakeGateway` from a thread of its own, for tests that are not async."""

    def __init__(self, gateway: FakeGateway) -> None:
        self._gateway = gateway
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._runner = web.AppRunner(gateway.app(), shutdown_timeout=0.1)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self._gateway.url = f"http://{host}:{port}"
