"""Webhook secrets out of the table: a team signs with its own, and with no other team's."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from busbar.messages.notification import Subscribed, SubscriptionRefused, WebhookDelivered
from busbar.notifier.adapters.secrets import StoredSecrets
from busbar.notifier.domain import SecretProblem, verify
from busbar.runtime.secrets import SecretKind, SecretStore
from busbar.runtime.store import open_store
from busbar.testing import ManualClock
from support.secrets import OTHER_KEY, InSqlite
from unit.notifier.bench import NEW, OLD, REF, Bench, provisioned


@pytest.fixture
def place(tmp_path: Path) -> InSqlite:
    return InSqlite(tmp_path / "home")


@pytest.fixture
async def store(place: InSqlite) -> AsyncIterator[SecretStore]:
    async with place.store() as opened:
        yield opened


@pytest.fixture
async def bench(tmp_path: Path, store: SecretStore) -> AsyncIterator[Bench]:
    clock = ManualClock()
    events = await open_store(tmp_path / "notifier.db", service="notifier", clock=clock)
    yield Bench(events, clock, secrets=StoredSecrets(store))
    await events.close()


async def keep(store: SecretStore, text: str, *, team: str | None) -> None:
    await store.put(REF, SecretStr(text), team=team, kind=SecretKind.TEXT)


async def test_a_team_signs_with_its_own_secrets_the_current_one_first(
    store: SecretStore,
) -> None:
    await keep(store, f"{NEW.reveal()}\n{OLD.reveal()}\n", team="payments")
    found = await StoredSecrets(store).webhook_secrets(REF, team="payments")
    assert found == (NEW, OLD)


@pytest.mark.parametrize("owner", ["checkout", None])
async def test_a_subscription_that_names_a_secret_of_another_team_is_refused(
    bench: Bench, store: SecretStore, owner: str | None
) -> None:
    await keep(store, OLD.reveal(), team=owner)
    refused = await bench.subscribe("payments/s")
    assert isinstance(refused, SubscriptionRefused)
    assert refused.reason == "unknown_secret"
    assert "busbar secrets put s --team payments" in refused.fix
    await bench.hear(provisioned("payments"))
    assert await bench.due() == {}


async def test_a_secret_of_another_team_is_answered_like_a_missing_one(
    bench: Bench, store: SecretStore
) -> None:
    absent = await bench.subscribe("payments/s")
    await keep(store, OLD.reveal(), team="checkout")
    theirs = await bench.subscribe("payments/s")
    assert isinstance(absent, SubscriptionRefused)
    assert isinstance(theirs, SubscriptionRefused)
    assert (absent.reason, absent.detail, absent.fix) == (theirs.reason, theirs.detail, theirs.fix)


async def test_a_secret_that_went_to_another_team_signs_nothing_any_more(
    bench: Bench, store: SecretStore
) -> None:
    await keep(store, OLD.reveal(), team="payments")
    assert isinstance(await bench.subscribe("payments/s"), Subscribed)
    await store.remove(REF)
    await keep(store, NEW.reveal(), team="checkout")
    await bench.hear(provisioned("payments"))
    assert await bench.work() == []
    assert bench.sender.requests == []
    await store.remove(REF)
    await keep(store, NEW.reveal(), team="payments")
    bench.clock.advance(5)
    (fact,) = await bench.work()
    assert isinstance(fact, WebhookDelivered)
    (sent,) = bench.sender.requests
    verify([NEW], sent.headers, sent.body, now=int(bench.clock.now().timestamp()))


@pytest.mark.parametrize("text", ["hush", "whsec_hush", "whsec_aHVzaA==", " \n"])
async def test_what_cannot_sign_is_refused_and_not_quoted(
    bench: Bench, store: SecretStore, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await keep(store, text, team="payments")
    refused = await bench.subscribe("payments/s")
    assert isinstance(refused, SubscriptionRefused)
    assert refused.reason == "unusable_secret"
    assert "send the intent again" in refused.fix
    printed = capsys.readouterr()
    assert "aHVzaA" not in refused.model_dump_json() + printed.out + printed.err
    assert "hush" not in refused.model_dump_json() + printed.out + printed.err


async def test_another_data_key_is_named_in_the_refusal(
    place: InSqlite, store: SecretStore
) -> None:
    await keep(store, OLD.reveal(), team="payments")
    async with place.store(OTHER_KEY) as other:
        found = await StoredSecrets(other).webhook_secrets(REF, team="payments")
    assert isinstance(found, SecretProblem)
    assert "another data key" in found.detail
    assert "BUSBAR_DATA_KEY" in found.fix
