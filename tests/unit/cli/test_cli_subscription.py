"""`busbar subscription` lists, shows attempts, tests and resends."""

import json

import pytest

from unit.sdk.fake_gateway import FakeGateway, operation
from unit.sdk.running import Run
from unit.sdk.test_webhook_calls import DELIVERY, SUBSCRIPTION

NAME = "payments/s"


def test_subscriptions_are_listed_by_team(busbar: Run, gateway: FakeGateway) -> None:
    assert "No subscriptions found" in busbar("subscription", "list").stdout
    gateway.subscriptions = [SUBSCRIPTION, {**SUBSCRIPTION, "team": "billing", "name": "other"}]
    shown = busbar("subscription", "list", "--team", "payments")
    assert shown.exit_code == 0
    assert all(text in shown.stdout for text in (NAME, "https://payments.example", "secret:s"))
    listed = json.loads(busbar("subscription", "list", "-o", "json").stdout)
    assert [one["team"] for one in listed] == ["payments", "billing"]


def test_attempts_show_when_what_came_back_and_how_long_it_took(
    busbar: Run, gateway: FakeGateway
) -> None:
    assert "No deliveries found" in busbar("subscription", "attempts", NAME).stdout
    gateway.deliveries = [DELIVERY, {**DELIVERY, "event": "g", "status": "failed"}]
    shown = busbar("subscription", "attempts", NAME, "--status", "retrying").stdout
    assert all(text in shown for text in ("f", "retrying", "timeout", "15.00"))
    (one,) = json.loads(
        busbar("subscription", "attempts", NAME, "--event", "g", "-o", "json").stdout
    )
    assert (one["event"], one["attempts"][0]["outcome"]) == ("g", "timeout")


@pytest.mark.parametrize(("status", "code"), [("succeeded", 0), ("denied", 3), ("failed", 4)])
def test_the_exit_code_is_the_outcome_of_the_test_event(
    busbar: Run, gateway: FakeGateway, status: str, code: int
) -> None:
    gateway.outcomes = [operation("x", status)]
    assert busbar("subscription", "test", NAME).exit_code == code
    (event,) = gateway.published
    assert (event.type, event.subject) == ("busbar.subscription.test.v1", NAME)


def test_resending_selects_one_fact_or_those_that_have_failed_since_a_time(
    busbar: Run, gateway: FakeGateway
) -> None:
    gateway.outcomes = [operation("x", "succeeded")]
    for arguments in ((), ("--event", "f"), ("--since", "2026-01-31T12:00:00Z")):
        assert busbar("subscription", "resend", NAME, *arguments).exit_code == 0
    about = {"team": "payments", "name": "s"}
    assert [event.data for event in gateway.published] == [
        about,
        {**about, "event": "f"},
        {**about, "since": "2026-01-31T12:00:00Z"},
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        (NAME, "--event", "f", "--since", "1h"),
        (NAME, "--since", "yesterday"),
        ("payments",),
    ],
)
def test_a_request_that_is_wrong_is_not_sent(
    busbar: Run, gateway: FakeGateway, arguments: tuple[str, ...]
) -> None:
    result = busbar("subscription", "resend", *arguments)
    assert result.exit_code != 0
    assert "Traceback" not in result.output
    assert gateway.published == []


def test_facts_are_selected_by_the_gateway(busbar: Run, gateway: FakeGateway) -> None:
    result = busbar("watch", "--no-follow", "--team", "payments", "--type", "busbar.resource.*")
    assert result.exit_code == 0
    assert "team=payments" in gateway.requests[-1]
    assert "type=busbar.resource." in gateway.requests[-1]


def test_attempts_that_begin_again_are_marked_as_resent(busbar: Run, gateway: FakeGateway) -> None:
    about = {"subscription": "payments/s", "event": "e", "event_type": "t", "status": "delivered"}
    attempts = [{"time": "t", "attempt": one, "outcome": "status 204"} for one in (1, 2, 3, 1, 1)]
    gateway.deliveries = [{**about, "attempts": attempts}]
    lines = busbar("subscription", "attempts", "payments/s").stdout.splitlines()[1:]
    assert ["(resent)" in line for line in lines] == [False, False, False, True, True]


def test_one_delivery_is_counted_in_the_singular(busbar: Run, gateway: FakeGateway) -> None:
    gateway.outcomes = [operation("x", detail="1 deliveries are due again")]
    assert "1 delivery is due again" in busbar("subscription", "resend", "payments/s").stdout


@pytest.mark.parametrize("command", ["attempts", "test", "resend"])
def test_what_is_not_a_subscription_is_followed_by_what_to_write(
    busbar: Run, gateway: FakeGateway, command: str
) -> None:
    for text in ("orders", "a/b/c", "/x"):
        result = busbar("subscription", command, text)
        assert result.exit_code == 2
        assert "Write team/name; `busbar subscription list` lists them." in result.stderr
    assert gateway.requests == []


def test_the_time_of_the_next_attempt_is_shown(busbar: Run, gateway: FakeGateway) -> None:
    due = "2026-01-31T12:00:05Z"
    gateway.deliveries = [{**DELIVERY, "next_attempt": due}, {**DELIVERY, "event": "g"}]
    lines = busbar("subscription", "attempts", NAME).stdout.splitlines()
    assert [line for line in lines if "next attempt" in line] == [
        f"{DELIVERY['event']}: the next attempt is due at {due}"
    ]
