"""`busbar subscribe` makes a secret, and leaves none behind if it is refused."""

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web

from busbar.cli.shared import connect
from busbar.messages.envelope import Envelope
from busbar.runtime.core.settings import load_settings
from busbar.runtime.secrets import Secret, secrets_of
from busbar.sdk import RetryPolicy
from unit.sdk.fake_gateway import FakeGateway, operation, problem
from unit.sdk.running import Run


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_SHORT_RETRY", "_STEADY_RETRY"):
        monkeypatch.setattr(connect, name, RetryPolicy(attempts=1))


def stored_secrets(home: Path) -> list[Secret]:
    """Every secret of the platform in ``home``."""

    async def read() -> list[Secret]:
        async with secrets_of(load_settings(home=home)) as store:
            found = [await store.find(entry.reference) for entry in await store.entries()]
            return [secret for secret in found if secret is not None]

    return asyncio.run(read())


def test_subscribing_makes_a_secret_and_never_sends_it(
    busbar: Run, gateway: FakeGateway, home: Path
) -> None:
    gateway.outcomes = [operation("x", "succeeded")]
    arguments = ("subscribe", "https://x.example/", "--team", "payments", "--name", "done")
    result = busbar(*arguments, "--type", "busbar.resource.*", "--type", "busbar.policy.denied.v1")
    assert result.exit_code == 0
    (stored,) = stored_secrets(home)
    secret = stored.value.get_secret_value()
    assert stored.team == "payments"
    assert secret.startswith("whsec_")
    assert secret in result.stderr
    (event,) = gateway.published
    assert event.data["secret"] == stored.reference
    assert event.data["types"] == ["busbar.resource.*", "busbar.policy.denied.v1"]
    assert secret not in json.dumps(event.data)
    again = busbar(*arguments, "--type", "busbar.*")
    assert "whsec_" not in again.output
    assert [one.value.get_secret_value() for one in stored_secrets(home)] == [secret]
    assert "whsec_" in busbar(*arguments, "--type", "busbar.*", "--new-secret").stderr
    assert [one.value.get_secret_value() for one in stored_secrets(home)] != [secret]


def test_a_subscription_that_is_wrong_makes_no_secret(busbar: Run, home: Path) -> None:
    arguments = ("subscribe", "ftp://x", "--team", "payments", "--name", "done", "--type", "x")
    assert busbar(*arguments).exit_code == 2
    assert stored_secrets(home) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--name", "Done"), "--name must be 1 to 63 lower-case letters, digits and hyphens"),
        (("--team", "a b"), "--team must be 1 to 63 lower-case letters"),
        (("--type", "x"), "--type must be a type of facts, as busbar.resource.provisioned.v1"),
        (("--secret", "x"), "--secret must be secret: and the name of a secret"),
    ],
)
def test_an_argument_that_is_wrong_is_named_as_it_was_written(
    busbar: Run, gateway: FakeGateway, arguments: tuple[str, str], said: str
) -> None:
    good = {"--team": "payments", "--name": "done", "--type": "busbar.resource.*"}
    options = [part for pair in {**good, arguments[0]: arguments[1]}.items() for part in pair]
    result = busbar("subscribe", "https://x.example/", *options)
    problem, fix = result.stderr.splitlines()
    assert problem.startswith(f"error: {said}")
    assert ";" not in problem
    assert fix.startswith("fix: Correct it; nothing was sent.")
    assert (result.exit_code, gateway.published) == (2, [])


def test_a_url_that_is_wrong_is_named_url(busbar: Run) -> None:
    options = ("--team", "payments", "--name", "done", "--type", "busbar.resource.*")
    result = busbar("subscribe", "payments.example/hooks", *options)
    assert result.stderr.startswith("error: URL must begin with http:// or https://.")


def test_the_outcome_names_the_subscription_and_has_a_fix(
    busbar: Run, gateway: FakeGateway
) -> None:
    refused = {"detail": "no such secret; store it first", "fix": "store it first"}
    gateway.outcomes = [
        {**operation("x", "denied", about="payments/done", **refused), "resource": None}
    ]
    first, second, *_ = busbar(*SUBSCRIBE).stdout.splitlines()
    assert first == "denied  payments/done  no such secret"
    assert second == "    fix: store it first"
    gateway.operations = [{**gateway.outcomes[0], "id": "x"}]
    assert "payments/done" in busbar("get", "operations").stdout


SUBSCRIBE = (
    *("subscribe", "https://x.example/", "--team", "payments", "--name", "done"),
    *("--type", "busbar.resource.*"),
)


def refuse(_event: Envelope) -> web.Response:
    return problem(422, "invalid", "no", "yes")


@pytest.mark.parametrize("status", ["denied", "failed", "expired"])
def test_a_subscription_that_is_refused_leaves_no_secret(
    busbar: Run, gateway: FakeGateway, home: Path, status: str
) -> None:
    gateway.outcomes = [operation("x", status)]
    refused = busbar(*SUBSCRIBE)
    assert refused.exit_code in {3, 4}
    assert "whsec_" not in refused.output
    assert stored_secrets(home) == []


def test_a_subscription_that_cannot_be_requested_leaves_no_secret(
    busbar: Run, gateway: FakeGateway, home: Path
) -> None:
    gateway.on_post = refuse
    assert busbar(*SUBSCRIBE).exit_code != 0
    assert stored_secrets(home) == []
    away = busbar("--url", "http://127.0.0.1:1", *SUBSCRIBE)
    assert away.exit_code == 7
    assert "whsec_" not in away.output
    assert stored_secrets(home) == []


def test_a_refused_new_secret_does_not_replace_the_current_one(
    busbar: Run, gateway: FakeGateway, home: Path
) -> None:
    gateway.outcomes = [operation("x", "succeeded")]
    busbar(*SUBSCRIBE)
    before = stored_secrets(home)
    gateway.outcomes = [operation("x", "denied")]
    assert busbar(*SUBSCRIBE, "--new-secret").exit_code == 3
    assert busbar(*SUBSCRIBE).exit_code == 3
    assert [one.value for one in stored_secrets(home)] == [one.value for one in before]


def test_a_subscription_without_an_outcome_keeps_the_secret_and_shows_it(
    busbar: Run, gateway: FakeGateway, home: Path
) -> None:
    gateway.outcomes = [operation("x", "received")]
    unknown = busbar(*SUBSCRIBE, "--timeout", "0.2")
    assert unknown.exit_code == 5
    (stored,) = stored_secrets(home)
    assert stored.value.get_secret_value() in unknown.stderr
