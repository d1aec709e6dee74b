"""Processes are killed, the broker stops, the platform restarts: nothing is lost or repeated."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from busbar.cli.local import Platform
from busbar.cli.local.home import read_state
from busbar.runtime.core.settings import load_settings
from busbar.sdk import Client
from e2e.conftest import client_of
from support import eventually
from support.platforms import accepting_unsigned
from support.webhooks import receiving, subscribe

SERVICES = ("policy", "provisioner", "audit", "notifier", "gateway")


class Restartable:
    """A platform that tests may harm, and start again with the state that it left."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.platform = self._make()

    def start(self) -> None:
        self.platform.start()
        self.platform.wait_ready()

    def restart(self) -> None:
        self.platform.stop()
        self.platform = self._make()
        self.start()

    def _make(self) -> Platform:
        bootstrap = load_settings().kafka_bootstrap_servers
        return Platform(self.home, bootstrap=bootstrap, services=accepting_unsigned)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restartable]:
    """One for the tests of this file, each of which leaves it ready."""
    found = Restartable(tmp_path_factory.mktemp("home"))
    try:
        found.start()
        yield found
    finally:
        found.platform.stop()


async def all_ended(client: Client, operations: list[str]) -> bool:
    views = [await client.operation(operation) for operation in operations]
    return all(view.status == "succeeded" for view in views)


async def ready(platform: Platform) -> bool:
    found = await asyncio.to_thread(platform.readiness)
    return all(state.ready for state in found.values())


async def applied(client: Client, team: str, count: int) -> list[str]:
    """``count`` resources asked for; their operations."""
    operations = []
    for number in range(count):
        resource = f"{team}/dev/event-stream/s{number}"
        operations.append((await client.apply(resource, {"partitions": 1})).operation)
    return operations


async def test_every_service_can_be_killed_under_load_and_the_whole_platform_restarted(
    own: Restartable, team: str
) -> None:
    before = own.platform
    async with client_of(before) as client:
        operations: list[str] = []
        for name in SERVICES:
            operations += await applied(client, f"{team}-{name}", 4)
            pid = before.pids[name]
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await eventually(lambda: ready(before), within=60, what=f"{name} ready again")
        await eventually(
            lambda: all_ended(client, operations), within=60, what="every operation's end"
        )
        report = await client.completeness()
        assert report.complete, report.problems
        resources = [resource async for resource in client.resources()]
    await asyncio.to_thread(own.restart)
    after = own.platform
    assert after.bootstrap == before.bootstrap
    async with client_of(after) as client:
        assert [resource async for resource in client.resources()] == resources
        (operation,) = await applied(client, f"{team}-later", 1)
        await eventually(
            lambda: all_ended(client, [operation]), within=30, what="life after the restart"
        )


async def test_intents_are_accepted_while_kafka_is_unreachable_and_done_afterwards(
    own: Restartable, team: str
) -> None:
    platform = own.platform
    pid = read_state(own.home)["kafka_pid"]
    assert pid, "this test stops the broker, so it needs one that the platform started"
    async with client_of(platform) as client:
        os.kill(pid, signal.SIGSTOP)
        try:
            operations = await applied(client, team, 3)
            await eventually(
                lambda: _unready(platform), within=30, what="a service that says it is not ready"
            )
            for operation in operations:
                assert (await client.operation(operation)).status == "received"
        finally:
            os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGKILL)
        await eventually(
            lambda: all_ended(client, operations), within=90, what="every operation's end"
        )
        await eventually(lambda: ready(platform), within=60, what="everything ready again")


async def _unready(platform: Platform) -> bool:
    return not await ready(platform)


async def test_a_webhook_is_delivered_although_the_receiver_and_the_notifier_fail(
    own: Restartable, team: str
) -> None:
    answers, received = [503, 503], []

    async def hook(request: web.Request) -> web.Response:
        received.append((request.headers["webhook-id"], json.loads(await request.read())))
        return web.Response(status=answers.pop(0) if answers else 204)

    async with receiving(hook) as url, client_of(own.platform) as client:
        await subscribe(client, own.home, team=team, url=url)
        (operation,) = await applied(client, team, 1)
        await eventually(lambda: len(received) == 1, within=30, what="the first attempt")
        pid = own.platform.pids["notifier"]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: len(received) == 3, within=60, what="the third attempt")

        async def delivered() -> bool:
            texts = [sentence.text async for sentence in client.why(operation)]
            return any("was delivered to" in text for text in texts)

        await eventually(delivered, within=30, what="the delivered fact")
        await eventually(lambda: ready(own.platform), within=60, what="everything ready again")
    assert len({webhook_id for webhook_id, _ in received}) == 1
