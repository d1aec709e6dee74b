"""Spans of requests: children of the given context, named by route, passed on in the event."""

import json

import pytest

from busbar.gateway.routes.middleware import RequestTelemetry
from busbar.runtime.store import Store
from busbar.testing import ManualClock
from support.tracing import PARENT, TRACE, traced
from unit.gateway.conftest import Api, FakeAudit, app_over, event

OTHER = f"00-{'1' * 32}-{'2' * 16}-01"


@pytest.fixture
def api(store: Store, audit: FakeAudit, clock: ManualClock) -> Api:
    return Api(RequestTelemetry(app_over(store, audit), clock=clock))


async def stored(store: Store) -> str | None:
    """The trace context of the intent that was taken in last."""
    *_, last = await store.events()
    trace: str | None = json.loads(last.metadata).get("traceparent")
    return trace


async def test_an_intent_carries_the_context_of_the_request_that_brought_it(
    api: Api, store: Store
) -> None:
    async with traced() as spans:
        assert (await api.post(event(), traceparent=PARENT)).status == 202
    found = spans.one(".*")
    assert (found.name, found.kind) == ("POST /v1/events", "server")
    assert (found.trace_id, found.parent_id) == (TRACE, PARENT.split("-")[2])
    assert found.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/events",
        "http.response.status_code": 202,
    }
    assert await stored(store) == found.traceparent


async def test_an_event_of_the_same_trace_comes_below_the_request(api: Api, store: Store) -> None:
    async with traced() as spans:
        await api.post(event(traceparent=f"00-{TRACE}-{'3' * 16}-01"), traceparent=PARENT)
    assert await stored(store) == spans.one(".*").traceparent


async def test_an_event_of_another_trace_stays_in_it(api: Api, store: Store) -> None:
    async with traced():
        await api.post(event(traceparent=OTHER), traceparent=PARENT)
    assert await stored(store) == OTHER


async def test_an_event_that_brings_nonsense_gets_the_context_of_its_request(
    api: Api, store: Store
) -> None:
    async with traced() as spans:
        assert (await api.post(event(traceparent="nonsense"))).status == 202
    assert await stored(store) == spans.one(".*").traceparent


async def test_while_tracing_is_off_the_context_of_event_or_request_is_handed_on(
    api: Api, store: Store
) -> None:
    await api.post(event(1), traceparent=PARENT)
    assert await stored(store) == PARENT
    await api.post(event(2, traceparent=OTHER), traceparent=PARENT)
    assert await stored(store) == OTHER


async def test_neither_path_nor_query_nor_token_is_recorded(api: Api) -> None:
    async with traced() as spans:
        await api.get("/v1/resources/secretive/dev/event-stream/hidden?hint=hush")
        await api.get("/v1/nowhere/hidden")
    assert [span.name for span in spans.all()] == [
        "GET /v1/resources/{team}/{environment}/{promise}/{name}",
        "GET none",
    ]
    for word in ("secretive", "hidden", "hush", "Bearer"):
        assert word not in spans.words()
