"""Subscriptions and deliveries as the API shows them, folded from the notifier's facts."""

from typing import Any

import pytest

from busbar.kernel.clock import parse_time
from busbar.messages.notification import (
    Subscribed,
    Unsubscribed,
    WebhookAttempted,
    WebhookDelivered,
    WebhookExhausted,
)
from unit.gateway.conftest import Api, Platform, fact_of

LIST = "/v1/subscriptions/payments/orders-done/deliveries"


async def items(api: Api, target: str) -> list[dict[str, Any]]:
    reply = await api.get(target)
    assert reply.status == 200, reply
    found: list[dict[str, Any]] = reply.json["items"]
    return found


async def test_subscriptions_are_listed_by_team_until_they_are_deleted(
    api: Api, platform: Platform
) -> None:
    names = ("payments/b", "payments/a", "billing/a")
    await platform.publish(*(fact_of(Subscribed, subscription=name) for name in names))
    listed = [one["subscription"] for one in await items(api, "/v1/subscriptions")]
    assert listed == ["billing/a", "payments/a", "payments/b"]
    (first, second) = await items(api, "/v1/subscriptions?team=payments")
    assert (first["name"], second["name"]) == ("a", "b")
    assert first["types"] == ["busbar.resource.provisioned.v1"]
    assert first["secret"].startswith("secret:")
    await platform.publish(fact_of(Unsubscribed, subscription="payments/a"))
    assert len(await items(api, "/v1/subscriptions?team=payments")) == 1
    assert (await api.get("/v1/subscriptions/payments/a")).problem()["status"] == 404
    assert (await api.get("/v1/subscriptions/payments/b")).json == second


async def test_a_subscription_that_was_changed_is_shown_as_it_is_now(
    api: Api, platform: Platform
) -> None:
    for url in ("https://one.example", "https://two.example"):
        await platform.publish(fact_of(Subscribed, url=url))
    (shown,) = await items(api, "/v1/subscriptions")
    assert shown["url"] == "https://two.example"


async def test_a_delivery_has_its_attempts_with_time_outcome_and_duration(
    api: Api, platform: Platform
) -> None:
    await platform.publish(fact_of(WebhookAttempted))
    (shown,) = await items(api, LIST)
    assert shown["status"] == "retrying"
    last, due = (parse_time(text) for text in (shown["updated"], shown["next_attempt"]))
    assert (due - last).total_seconds() == pytest.approx(5.2)
    await platform.publish(fact_of(WebhookDelivered, attempt=2))
    (shown,) = await items(api, LIST)
    assert shown["status"] == "delivered"
    assert shown["next_attempt"] is None
    assert [(one["attempt"], one["outcome"], one["seconds"]) for one in shown["attempts"]] == [
        (1, "timeout", 15.0),
        (2, "status 204", 0.12),
    ]
    assert shown["attempts"][0]["time"] < shown["attempts"][1]["time"]
    assert (await api.get(f"{LIST}/{shown['event']}")).json == shown


async def test_deliveries_are_listed_newest_first_and_by_status(
    api: Api, platform: Platform
) -> None:
    await platform.publish(
        fact_of(WebhookExhausted, event="one"),
        fact_of(WebhookDelivered, event="two"),
        fact_of(WebhookDelivered, event="three", subscription="payments/other"),
    )
    assert [one["event"] for one in await items(api, LIST)] == ["two", "one"]
    assert [one["event"] for one in await items(api, f"{LIST}?status=failed")] == ["one"]
    reply = await api.get(f"{LIST}?limit=1")
    following = await items(api, f"{LIST}?limit=1&after={reply.json['next']}")
    assert [one["event"] for one in following] == ["one"]


async def test_a_delivery_that_was_made_again_keeps_its_place_and_its_attempts(
    api: Api, platform: Platform
) -> None:
    await platform.publish(fact_of(WebhookExhausted, event="one", attempts=1))
    await platform.publish(fact_of(WebhookDelivered, event="two"))
    await platform.publish(fact_of(WebhookDelivered, event="one", attempt=1))
    again = (await items(api, LIST))[1]
    assert (again["event"], again["status"], len(again["attempts"])) == ("one", "delivered", 2)


async def test_deliveries_of_an_unknown_subscription_are_a_404_and_none_yet_is_an_empty_list(
    api: Api, platform: Platform
) -> None:
    for target in (LIST, f"{LIST}?status=failed"):
        problem = (await api.get(target)).problem()
        assert problem["status"] == 404
        assert "subscription payments/orders-done" in problem["detail"]
    await platform.publish(fact_of(Subscribed, subscription="payments/orders-done"))
    assert await items(api, LIST) == []
    await platform.publish(fact_of(WebhookDelivered))
    await platform.publish(fact_of(Unsubscribed, subscription="payments/orders-done"))
    assert len(await items(api, LIST)) == 1
    assert await items(api, f"{LIST}?status=failed") == []


@pytest.mark.parametrize("target", [f"{LIST}/nothing", "/v1/subscriptions/payments/nothing"])
async def test_what_does_not_exist_is_a_404(api: Api, target: str) -> None:
    problem = (await api.get(target)).problem()
    assert problem["code"] == "not_found"
    assert "`busbar subscription " in problem["fix"]


@pytest.mark.parametrize(
    "target",
    [
        "/v1/subscriptions?team=No!",
        "/v1/subscriptions/payments/No!",
        f"{LIST}?status=nonsense",
        "/v1/facts?team=No!",
        "/v1/facts?type=busbar.nonsense.*",
        "/v1/facts?type=busbar.resource.*&type=",
    ],
)
async def test_a_wrong_filter_is_a_problem_and_not_an_empty_list(api: Api, target: str) -> None:
    reply = await api.get(target)
    assert reply.status in {400, 404}
    assert reply.problem()["fix"]
