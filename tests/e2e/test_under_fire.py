"""Processes are killed, the broker stops, the platform restarts: nothing is lost or repeated."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from busbar.cli.local import Platform
from busbar.cli.local.home import read_state
from busbar.runtime.core.settings import load_settings
from busbar.sdk import Client
from e2e.conftest import client_of
from support import eventually
from support.webhooks import receiving, subscribe

SERVICES = ("policy", "provisioner", "audit", "notifier", "gateway")


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Platform]:
    """A platform that may be harmed."""
    bootstrap = load_settings().kafka_bootstrap_servers
    platform = Platform(tmp_path / "home", bootstrap=bootstrap)
    await asyncio.to_thread(platform.start)
    await asyncio.to_thread(platform.wait_ready)
    yield platform
    await asyncio.to_thread(platform.stop)


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
    own: Platform, team: str
) -> None:
    async with client_of(own) as client:
        operations: list[str] = []
        for name in SERVICES:
            operations += await applied(client, f"{team}-{name}", 4)
            pid = own.pids[name]
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await eventually(lambda: ready(own), within=60, what=f"{name} ready again")
        await eventually(
            lambda: all_ended(client, operations), within=60, what="every operation's end"
        )
        report = await client.completeness()
        assert report.complete, report.problems
        before = [resource async for resource in client.resources()]
    await asyncio.to_thread(own.stop)
    again = Platform(own.home, bootstrap=load_settings().kafka_bootstrap_servers)
    try:
        await asyncio.to_thread(again.start)
        await asyncio.to_thread(again.wait_ready)
        assert again.bootstrap == own.bootstrap
        async with client_of(again) as client:
            assert [resource async for resource in client.resources()] == before
            (operation,) = await applied(client, f"{team}-later", 1)
            await eventually(
                lambda: all_ended(client, [operation]), within=30, what="life after the restart"
            )
    finally:
        await asyncio.to_thread(again.stop)


async def test_intents_are_accepted_while_kafka_is_unreachable_and_done_afterwards(
    own: Platform, team: str
) -> None:
    pid = read_state(own.home)["kafka_pid"]
    assert pid, "this test stops the broker, so it needs one that the platform started"
    async with client_of(own) as client:
        os.kill(pid, signal.SIGSTOP)
        try:
            operations = await applied(client, team, 3)
            await eventually(
                lambda: _unready(own), within=30, what="a service that says it is not ready"
            )
            for operation in operations:
                assert (await client.operation(operation)).status == "received"
        finally:
            os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGKILL)
        await eventually(
            lambda: all_ended(client, operations), within=90, what="every operation's end"
        )
        await eventually(lambda: ready(own), within=60, what="everything ready again")


async def _unready(platform: Platform) -> bool:
    return not await ready(platform)


async def test_a_webhook_is_delivered_although_the_receiver_and_the_notifier_fail(
    own: Platform, team: str
) -> None:
    answers, received = [503, 503], []

    async def hook(request: web.Request) -> web.Response:
        received.append((request.headers["webhook-id"], json.loads(await request.read())))
        return web.Response(status=answers.pop(0) if answers else 204)

    async with receiving(hook) as url, client_of(own) as client:
        await subscribe(client, own.home, team=team, url=url)
        (operation,) = await applied(client, team, 1)
        await eventually(lambda: len(received) == 1, within=30, what="the first attempt")
        pid = own.pids["notifier"]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: len(received) == 3, within=60, what="the third attempt")

        async def delivered() -> bool:
            texts = [sentence.text for sentence in await client.why(operation)]
            return any("was delivered to" in text for text in texts)

        await eventually(delivered, within=30, what="the delivered fact")
    assert len({webhook_id for webhook_id, _ in received}) == 1
