import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from busbar.kernel.ids import operation_id
from busbar.messages.envelope import Envelope
from busbar.sdk import (
    Client,
    ConfigurationError,
    GatewayProblem,
    InvalidIntent,
    RetryPolicy,
    StillRunning,
    Unreachable,
)
from busbar.sdk.retry import retry_after
from unit.sdk.fake_gateway import (
    TOKEN,
    FakeGateway,
    dead_letter,
    fact,
    operation,
    problem,
    resource,
)

RESOURCE = "payments/dev/event-stream/orders"


def busy(**headers: str) -> web.Response:
    return problem(503, "not_ready", "audit is starting", "wait", **headers)


async def test_applying_publishes_one_intent_and_names_its_operation(
    client: Client, gateway: FakeGateway
) -> None:
    accepted = await client.apply(RESOURCE, {"partitions": 3}, version="v1", event_id="one")
    (event,) = gateway.published
    assert event.type == "busbar.resource.apply.v1"
    assert event.subject == RESOURCE
    assert event.data == {
        "team": "payments",
        "environment": "dev",
        "promise": "event-stream",
        "name": "orders",
        "version": "v1",
        "spec": {"partitions": 3},
    }
    assert accepted.operation == str(operation_id(event.source, "one"))
    assert not accepted.replayed


async def test_the_same_id_again_is_the_same_operation(client: Client) -> None:
    first = await client.delete(RESOURCE, event_id="one")
    again = await client.delete(RESOURCE, event_id="one")
    assert again.replayed
    assert again.operation == first.operation


async def test_the_same_id_with_another_body_is_a_problem_that_says_what_to_do(
    client: Client,
) -> None:
    await client.apply(RESOURCE, {"partitions": 3}, event_id="one")
    with pytest.raises(GatewayProblem) as caught:
        await client.apply(RESOURCE, {"partitions": 4}, event_id="one")
    assert (caught.value.status, caught.value.code) == (409, "conflict")
    assert caught.value.fix == "use a new id"


async def test_a_key_makes_an_id_of_the_content(client: Client, gateway: FakeGateway) -> None:
    await client.apply(RESOURCE, {"partitions": 3}, key="deploy-1")
    await client.apply(RESOURCE, {"partitions": 3}, key="deploy-1")
    await client.apply(RESOURCE, {"partitions": 4}, key="deploy-1")
    await client.apply(RESOURCE, {"partitions": 3}, key="deploy-2")
    ids = [event.id for event in gateway.published]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


async def test_without_id_and_key_every_call_is_an_intent_of_its_own(
    client: Client, gateway: FakeGateway
) -> None:
    await client.delete(RESOURCE)
    await client.delete(RESOURCE)
    assert len({event.id for event in gateway.published}) == 2


async def test_a_lost_answer_is_asked_for_again_under_the_same_id(
    client: Client, gateway: FakeGateway, pauses: list[float]
) -> None:
    gateway.failures = [None, None]
    accepted = await client.delete(RESOURCE)
    assert accepted.operation == str(operation_id(client.source, gateway.published[0].id))
    assert len({event.id for event in gateway.published}) == 1
    assert pauses == [0.2, 0.4]


async def test_retry_after_is_honoured(
    client: Client, gateway: FakeGateway, pauses: list[float]
) -> None:
    gateway.failures = [busy(**{"Retry-After": "7"}), problem(429, "slow", "too fast", "wait")]
    gateway.resources = [resource(RESOURCE)]
    assert (await client.resource(RESOURCE)).id == RESOURCE
    assert pauses == [7.0, 0.4]


async def test_retrying_ends_with_the_last_problem(
    client: Client, gateway: FakeGateway, pauses: list[float]
) -> None:
    gateway.failures = [busy() for _ in range(4)]
    with pytest.raises(GatewayProblem, match="audit is starting"):
        await client.resource(RESOURCE)
    assert len(pauses) == 3


async def test_a_refusal_is_not_tried_again(client: Client, gateway: FakeGateway) -> None:
    with pytest.raises(GatewayProblem, match="there is no resource") as caught:
        await client.resource("payments/dev/event-stream/none")
    assert caught.value.status == 404
    assert len(gateway.requests) == 1


async def test_a_missing_gateway_is_reported_as_unreachable_with_a_fix() -> None:
    async with Client(
        "http://127.0.0.1:9", SecretStr(TOKEN), retry=RetryPolicy(attempts=1)
    ) as client:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9") as caught:
            await client.ready()
    assert "busbar up" in caught.value.fix


@pytest.mark.parametrize(
    ("url", "fix"),
    [
        ("127.0.0.1:28642", "Write http://127.0.0.1:28642, or https://"),
        ("//127.0.0.1:1", "Write http://127.0.0.1:1, or https://"),
        ("foo", "Write http://foo, or https://"),
        ("http://[", "Write it like http://127.0.0.1:8642"),
        ("http://", "Write it like http://127.0.0.1:8642"),
        ("http://host:99999", "Write it like http://127.0.0.1:8642"),
        ("ftp://127.0.0.1:9", "Write it like http://127.0.0.1:8642"),
    ],
)
def test_what_is_not_a_url_is_refused_and_says_what_to_write(url: str, fix: str) -> None:
    with pytest.raises(ConfigurationError, match="The gateway's URL") as caught:
        Client(url, SecretStr(TOKEN))
    assert fix in caught.value.fix


async def test_a_wrong_token_is_a_problem_and_never_shown(gateway: FakeGateway) -> None:
    async with Client(gateway.url, SecretStr("wrong-token")) as client:
        with pytest.raises(GatewayProblem) as caught:
            await client.resource(RESOURCE)
    assert caught.value.status == 401
    assert "wrong-token" not in repr(caught.value) + repr(vars(client))


@pytest.mark.parametrize(
    ("body", "content_type"), [(b"<html>", "text/html"), (b"[]", "application/json")]
)
async def test_an_answer_of_something_else_is_named_as_such(
    client: Client, gateway: FakeGateway, body: bytes, content_type: str
) -> None:
    for status in (200, 500):
        gateway.failures = [web.Response(body=body, status=status, content_type=content_type)]
        with pytest.raises(GatewayProblem) as caught:
            await client.resource(RESOURCE)
        assert caught.value.code == "unexpected_answer"


async def test_a_redirect_is_not_followed_with_the_token(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.failures = [web.Response(status=302, headers={"Location": f"{gateway.url}/readyz"})]
    with pytest.raises(GatewayProblem):
        await client.resource(RESOURCE)
    assert len(gateway.requests) == 1


async def test_lists_go_on_over_all_pages(client: Client, gateway: FakeGateway) -> None:
    names = [f"payments/dev/event-stream/s{number}" for number in range(5)]
    gateway.resources = [resource(name) for name in names]
    assert [view.id async for view in client.resources()] == names
    assert [view.id async for view in client.resources(prefix="payments/prod/")] == []
    gateway.operations = [operation("a"), operation("b", "stuck"), operation("c", "stuck")]
    assert [view.id async for view in client.operations(status="stuck")] == ["b", "c"]


async def test_facts_end_where_the_log_ends(client: Client, gateway: FakeGateway) -> None:
    gateway.facts = [fact(number) for number in range(1, 6)]
    assert [item.cursor async for item in client.facts()] == ["1", "2", "3", "4", "5"]
    assert [item.cursor async for item in client.facts(after="now")] == []


async def test_followed_facts_come_when_they_happen(client: Client, gateway: FakeGateway) -> None:
    gateway.facts = [fact(1)]
    following = client.facts(follow=True)
    assert (await anext(following)).cursor == "1"
    coming = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0)
    gateway.facts.append(fact(2))
    assert (await asyncio.wait_for(coming, 5)).cursor == "2"


async def test_following_an_operation_shows_every_change_once(
    client: Client, gateway: FakeGateway
) -> None:
    step = {"name": "topic", "adapter": "kafka-topic", "status": "started"}
    gateway.outcomes = [
        operation("x", "received"),
        operation("x", "running"),
        operation("x", "running"),
        operation("x", "running", steps=[step]),
        operation("x", "succeeded"),
    ]
    views = [view async for view in client.follow("x", timeout=5)]
    assert [(view.status, len(view.steps)) for view in views] == [
        ("received", 0),
        ("running", 0),
        ("running", 1),
        ("succeeded", 0),
    ]


async def test_waiting_ends_with_the_outcome(client: Client, gateway: FakeGateway) -> None:
    gateway.outcomes = [operation("x", "running"), operation("x", "failed", reason="refused")]
    assert (await client.wait("x", timeout=5)).status == "failed"
    assert "wait=" in gateway.requests[-1]


async def test_waiting_ends_immediately_when_a_person_is_needed(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.outcomes = [operation("x", "stuck", reason="not_ours")]
    assert (await client.wait("x", timeout=5)).status == "stuck"


async def test_waiting_too_long_says_how_it_stands(client: Client, gateway: FakeGateway) -> None:
    gateway.outcomes = [operation("x", "running")]
    with pytest.raises(StillRunning, match="still running") as caught:
        await client.wait("x", timeout=0.05)
    assert caught.value.view.status == "running"
    assert "busbar operation x --wait" in caught.value.fix


@pytest.mark.parametrize("name", ["payments/dev/orders", "Payments/dev/event-stream/orders", ""])
async def test_a_name_that_is_none_is_refused_before_anything_is_sent(
    client: Client, gateway: FakeGateway, name: str
) -> None:
    with pytest.raises(InvalidIntent, match="team/environment/promise/name"):
        await client.delete(name)
    assert gateway.requests == []


async def test_an_intent_that_does_not_fit_names_the_place_and_not_the_value(
    client: Client, gateway: FakeGateway
) -> None:
    with pytest.raises(InvalidIntent, match="secret") as caught:
        await client.subscribe(
            "payments/done",
            url="https://x.example/",
            types=("busbar.*",),
            secret="hunter2",  # noqa: S106 - the mistake that is tested
        )
    assert "hunter2" not in str(caught.value)
    assert gateway.requests == []


async def test_an_event_that_is_none_is_refused_before_anything_is_sent(
    client: Client, gateway: FakeGateway
) -> None:
    with pytest.raises(InvalidIntent):
        await client.publish(Envelope(id="", source="urn:x", type="busbar.resource.apply.v1"))
    assert gateway.requests == []


@pytest.mark.parametrize("spec", [None, 5, "x", [1]])
async def test_a_spec_that_is_not_an_object_is_an_invalid_intent(
    client: Client, gateway: FakeGateway, spec: Any
) -> None:
    with pytest.raises(InvalidIntent, match="spec"):
        await client.apply(RESOURCE, spec)
    assert gateway.requests == []


@pytest.mark.parametrize("wrong", [None, 5, {}])
async def test_what_is_not_an_event_or_a_resource_is_an_invalid_intent(
    client: Client, gateway: FakeGateway, wrong: Any
) -> None:
    with pytest.raises(InvalidIntent):
        await client.publish(wrong)
    with pytest.raises(InvalidIntent):
        await client.delete(wrong)
    assert gateway.requests == []


@pytest.mark.parametrize("wrong", ["..", ".", ""])
async def test_an_id_cannot_lead_to_another_path(
    client: Client, gateway: FakeGateway, wrong: str
) -> None:
    for ask in (client.operation, client.dead_letter, client.resource):
        with pytest.raises(GatewayProblem, match="is not an id") as caught:
            await ask(wrong)
        assert caught.value.status == 404
    with pytest.raises(GatewayProblem, match="is not an id"):
        await client.resource(f"payments/{wrong}/operations")
    assert gateway.requests == []


@pytest.mark.parametrize(
    "url", ["http://ada:hunter2@127.0.0.1:1", "ada:hunter2@host", "http://[ada:hunter2@host"]
)
def test_a_url_with_credentials_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match="password") as caught:
        Client(url, SecretStr(TOKEN))
    assert "hunter2" not in str(caught.value)


def test_a_token_with_a_control_character_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError, match="does not hold a token") as caught:
        Client("http://127.0.0.1:1", SecretStr("hunter2\nX: y"))
    assert "hunter2" not in str(caught.value)


async def test_events_carry_the_time_that_the_caller_gives(gateway: FakeGateway) -> None:
    time = datetime(2026, 1, 31, 12, tzinfo=UTC)
    async with Client(gateway.url, SecretStr(TOKEN), now=lambda: time) as client:
        await client.unsubscribe("payments/orders-done")
    assert gateway.published[0].time == time
    assert gateway.published[0].data == {"team": "payments", "name": "orders-done"}


async def test_the_audit_log_comes_in_pages_with_a_cursor_also_at_its_end(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.records = [
        {"cursor": number, "topic": "busbar.facts.policy", "partition": 0, "offset": number}
        for number in range(1, 4)
    ]
    first = await client.audit_page()
    second = await client.audit_page(after=first.cursor)
    third = await client.audit_page(after=second.cursor)
    assert [len(page.items) for page in (first, second, third)] == [2, 1, 0]
    assert [page.cursor for page in (first, second, third)] == ["2", "3", "3"]


async def test_why_asks_about_resources_and_operations(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.sentences = [{"time": "t", "text": "It was asked for.", "topic": "x", "partition": 1}]
    (sentence,) = [one async for one in client.why(RESOURCE, last=3)]
    assert [one async for one in client.why("0b6f8e0e-2b53-5d6e-8a53-6f5f4c1f9a10")] == [sentence]
    assert sentence.text == "It was asked for."
    assert "?resource=payments" in gateway.requests[0]
    assert "last=3" in gateway.requests[0]
    assert "?operation=0b6f8e0e" in gateway.requests[1]


@pytest.mark.parametrize("broken_off", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
async def test_a_long_answer_that_breaks_off_is_continued_without_repeating_an_item(
    client: Client, gateway: FakeGateway, broken_off: int
) -> None:
    gateway.sentences = [{"text": f"It is {number}."} for number in range(5)]
    gateway.broken_off = [broken_off, None]
    texts = [sentence.text async for sentence in client.why(RESOURCE)]
    assert texts == [f"It is {number}." for number in range(5)]
    first, second = gateway.requests
    assert "after" not in first
    # Two lines an item, and every second one has a cursor.
    cursor = broken_off // 4 * 2
    assert (f"after={cursor}" in second) is (cursor > 0)


async def test_a_long_answer_that_never_ends_is_given_up(
    client: Client, gateway: FakeGateway, pauses: list[float]
) -> None:
    gateway.broken_off = [0] * 10
    with pytest.raises(Unreachable):
        await client.completeness()
    assert pauses == [0.2, 0.4, 0.8]


async def test_an_answer_that_goes_on_each_time_is_read_to_its_end(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.sentences = [{"text": f"It is {number}."} for number in range(40)]
    gateway.broken_off = [6] * 19
    assert len([sentence async for sentence in client.why(RESOURCE)]) == 40
    assert len(gateway.requests) > 10


async def test_the_progress_of_a_long_answer_is_reported(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.sentences = [{"text": "It was asked for."}, {"text": "It is done."}]
    heard: list[tuple[int, int | None]] = []
    found = client.why(RESOURCE, progress=lambda p: heard.append((p.done, p.total)))
    assert len([one async for one in found]) == 2
    assert heard == [(1, 2), (2, 2)]


async def test_dead_letters_are_listed_shown_and_redriven(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.dead_letters = [dead_letter("l-1")]
    (listed,) = [one async for one in client.dead_letters(service="policy")]
    assert listed.reason == "bad_json"
    assert (await client.dead_letter("l-1")).record.value == "{"
    await client.redrive("l-1", service="policy")
    assert gateway.published[0].data == {"service": "policy", "dead_letter": "l-1"}


async def test_interventions_name_the_resource_and_the_operation(
    client: Client, gateway: FakeGateway
) -> None:
    operation = "0b6f8e0e-2b53-5d6e-8a53-6f5f4c1f9a10"
    await client.retry_operation(RESOURCE, operation)
    await client.abandon_operation(RESOURCE, operation)
    await client.release(RESOURCE)
    assert [event.type for event in gateway.published] == [
        "busbar.resource.retry.v1",
        "busbar.resource.abandon.v1",
        "busbar.resource.release.v1",
    ]
    assert {event.subject for event in gateway.published} == {RESOURCE}
    assert [event.data.get("operation") for event in gateway.published] == [operation] * 2 + [None]


async def test_state_at_sends_the_time_in_utc(client: Client, gateway: FakeGateway) -> None:
    gateway.resources = [resource(RESOURCE)]
    time = datetime(2026, 1, 31, 12, tzinfo=UTC)
    views = [view async for view in client.state_at(time, by="event")]
    assert [view.id for view in views] == [RESOURCE]
    assert "at=2026-01-31T12:00:00.000000Z" in gateway.requests[0]
    assert "by=event" in gateway.requests[0]


def test_a_date_in_retry_after_is_measured_against_the_servers_own_clock() -> None:
    date = "Sat, 31 Jan 2026 12:00:00 GMT"
    later = "Sat, 31 Jan 2026 12:00:05 GMT"
    assert retry_after({"Date": date, "Retry-After": later}) == 5.0
    assert retry_after({"Retry-After": later}) is None
    assert retry_after({"Retry-After": "soon"}) is None
    assert retry_after({}) is None


def test_delays_double_up_to_the_longest_and_then_end() -> None:
    policy = RetryPolicy(attempts=6, first=1, longest=4)
    assert [policy.delay(number) for number in range(1, 7)] == [1, 2, 4, 4, 4, None]
    assert policy.delay(1, 1000) == 30
    assert json.dumps(policy.delay(1, -5)) == "0.0"


def test_no_attempt_begins_after_the_time_for_all_of_them() -> None:
    policy = RetryPolicy(attempts=6, first=1, longest=4, within=20)
    assert policy.delay(2, taken=18) == 2
    assert policy.delay(2, taken=18.5) is None
    assert policy.delay(1, 30, taken=0) is None


async def test_a_client_that_waits_says_for_what(gateway: FakeGateway) -> None:
    said: list[str] = []
    async with Client(
        gateway.url, TOKEN, retry=RetryPolicy(attempts=2, first=0.01), on_wait=said.append
    ) as client:
        gateway.failures = [busy()]
        await client.promises()
        gateway.failures = [busy()]
        await client.completeness()
    assert said == ["Refused: audit is starting"] * 2
