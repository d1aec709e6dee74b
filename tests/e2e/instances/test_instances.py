"""Several instances of a service on PostgreSQL."""

import asyncio
import json
from collections.abc import Mapping

from busbar.cli.local import Platform
from busbar.cli.local.home import read_state
from busbar.sdk import Client
from support import eventually

TWICE = ("policy", "provisioner", "audit", "notifier", "identity")


def addresses(platform: Platform) -> Mapping[str, str]:
    """Return the address of each process."""
    return {
        path.stem: json.loads(path.read_text())["url"]
        for path in (platform.home / "run").glob("*.json")
    }


async def test_every_copy_has_its_own_address_log_and_readiness(platform: Platform) -> None:
    names = {"gateway", *TWICE, *(f"{name}.2" for name in TWICE)}
    assert set(platform.pids) == names
    assert len(set(platform.pids.values())) == len(names)
    found = addresses(platform)
    assert set(found) == names
    assert len(set(found.values())) == len(names)
    assert set(read_state(platform.home)["services"]) == names
    for name in names:
        assert (platform.home / "logs" / f"{name}.log").stat().st_size > 0
    states = await asyncio.to_thread(platform.readiness)
    assert {name for name, state in states.items() if state.ready} == names


async def test_the_state_is_in_the_database_and_in_no_file(platform: Platform) -> None:
    assert list(platform.home.glob("*.db*")) == []


async def test_both_instances_take_their_share_and_the_log_of_all_of_it_is_complete(
    platform: Platform, client: Client, team: str
) -> None:
    names = [f"{team}/dev/event-stream/s{number}" for number in range(24)]
    accepted = [await client.apply(name, {"partitions": 1}) for name in names]

    async def ended() -> bool:
        views = [await client.operation(one.operation) for one in accepted]
        return all(view.status == "succeeded" for view in views)

    await eventually(ended, within=60, what="the end of every operation")
    for service in ("policy", "policy.2"):
        assert assigned(platform, service) > 0
    report = await client.completeness()
    assert report.complete, report.problems


def assigned(platform: Platform, name: str) -> int:
    """Return the number of partitions that the process ``name`` was assigned last."""
    log = (platform.home / "logs" / f"{name}.log").read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    counts = [line["partitions"] for line in lines if line.get("event") == "partitions_assigned"]
    return int(counts[-1]) if counts else 0
