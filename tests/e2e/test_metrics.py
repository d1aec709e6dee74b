"""Every process gives its metrics, all of them are documented, and they say what happened."""

import json

import aiohttp
import pytest

from busbar.cli.local import Platform
from busbar.messages.topics import SERVICES
from busbar.sdk import Client
from e2e.test_commands import busbar
from meta.checkout import ROOT, text
from support import eventually
from support.metrics import samples, undocumented


async def scrape(platform: Platform, service: str) -> str:
    address = json.loads((platform.home / "run" / f"{service}.json").read_text("utf-8"))["url"]
    async with aiohttp.ClientSession() as session, session.get(f"{address}/metrics") as response:
        assert response.status == 200
        assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
        return await response.text()


async def value(platform: Platform, service: str, name: str, **labels: str) -> float:
    """The sum of the samples of ``name`` that have these ``labels``."""
    found = samples(await scrape(platform, service))
    return sum(
        one.value for one in found if one.name == name and one.labels.items() >= labels.items()
    )


@pytest.fixture
async def _lived(client: Client, team: str) -> None:
    """Something of every kind has happened."""
    accepted = [
        await client.apply(f"{team}/dev/event-stream/orders", {"partitions": 1}),
        await client.apply(f"{team}/dev/event-stream/orders", {"retention_hours": 100_000}),
        await client.redrive("no-such-dead-letter", service="policy"),
    ]
    for one in accepted:
        await client.wait(one.operation, timeout=30)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.usefixtures("_lived")
async def test_whatever_a_process_gives_is_documented(platform: Platform, service: str) -> None:
    found = await scrape(platform, service)
    assert undocumented(found, text(ROOT / "docs" / "metrics.md")) == []
    assert f'busbar_store_up{{service="{service}"}} 1.0' in found


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.usefixtures("_lived")
async def test_nobodys_names_and_nothing_secret_are_in_metrics(
    platform: Platform, service: str, team: str
) -> None:
    found = await scrape(platform, service)
    token = platform.token_file.read_text(encoding="ascii").strip()
    for word in (team, token, "orders", "no-such-dead-letter"):
        assert word not in found


@pytest.mark.usefixtures("_lived")
async def test_what_happened_is_counted_where_it_happened(platform: Platform) -> None:
    for service, name, labels in (
        ("policy", "busbar_policy_decisions_total", {"outcome": "allowed"}),
        ("policy", "busbar_policy_decisions_total", {"outcome": "denied"}),
        ("policy", "busbar_policy_decision_seconds_count", {}),
        ("provisioner", "busbar_provisioner_operations_total", {"outcome": "succeeded"}),
        ("provisioner", "busbar_provisioner_operation_seconds_count", {}),
        ("provisioner", "busbar_provisioner_steps_total", {"action": "apply", "result": "done"}),
        ("provisioner", "busbar_tasks_outcomes_total", {"kind": "saga", "outcome": "done"}),
        ("gateway", "busbar_gateway_requests_total", {"route": "/v1/events", "status": "202"}),
        (
            "gateway",
            "busbar_gateway_request_seconds_count",
            {"route": "/v1/operations/{operation}"},
        ),
        ("audit", "busbar_consumer_records_total", {"outcome": "handled"}),
        ("provisioner", "busbar_relay_publish_lag_seconds_count", {}),
        ("notifier", "busbar_consumer_rebalances_total", {}),
    ):
        assert await value(platform, service, name, **labels) > 0, (service, name, labels)


@pytest.mark.usefixtures("_lived")
@pytest.mark.parametrize("service", SERVICES)
async def test_a_platform_at_rest_has_no_lag(platform: Platform, service: str) -> None:
    async def rests() -> bool:
        names = ("busbar_consumer_lag_records", "busbar_relay_backlog_events", "busbar_tasks_due")
        return not any([await value(platform, service, name) for name in names])

    await eventually(rests, what=f"the rest of {service}")
    assert await value(platform, service, "busbar_relay_leader") == 1


@pytest.mark.usefixtures("_lived")
async def test_the_status_shows_every_process_and_what_came_of_intents(platform: Platform) -> None:
    command = ("--home", str(platform.home), "status", "--once")
    code, out, errors = await busbar(*command, "-o", "json")
    assert code == 0, errors
    found = json.loads(out)
    assert [process["name"] for process in found["processes"]] == sorted(SERVICES)
    assert all(process["ready"] for process in found["processes"])
    assert all(process["records_per_second"] is not None for process in found["processes"])
    assert found["decisions"]["total"]["denied"] > 0
    assert found["operations"]["total"]["succeeded"] > 0
    code, out, errors = await busbar(*command)
    assert code == 0, errors
    assert all(any(line.startswith(name) for line in out.splitlines()) for name in SERVICES)


async def test_unknown_paths_are_counted_under_one_name(platform: Platform) -> None:
    before = await value(platform, "gateway", "busbar_gateway_requests_total", route="none")
    async with aiohttp.ClientSession() as session:
        for number in range(3):
            async with session.get(f"{platform.url}/there/is/none/{number}") as response:
                assert response.status == 404
    after = await value(platform, "gateway", "busbar_gateway_requests_total", route="none")
    assert after - before == 3
