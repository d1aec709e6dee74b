"""SIGTERM under load ends a service in good order, and nothing is lost."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from busbar.cli.local import Platform
from busbar.sdk import Client
from support import eventually

SERVICES = ("policy", "provisioner", "audit", "notifier", "gateway")


@asynccontextmanager
async def asking(client: Client, team: str) -> AsyncIterator[list[str]]:
    """Ask for one resource after the other during the block; gives the operations."""
    operations: list[str] = []
    stopping = asyncio.Event()

    async def ask() -> None:
        for number in range(500):
            name = f"{team}/dev/event-stream/s{number}"
            accepted = await eventually(
                lambda name=name: client.apply(name, {"partitions": 1}, event_id=name),  # type: ignore[misc]  # a default binds it
                within=60,
                what=f"sending {name}",
            )
            operations.append(accepted.operation)
            if stopping.is_set():
                return

    task = asyncio.create_task(ask())
    try:
        yield operations
    finally:
        stopping.set()
        await task


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_that_is_stopped_under_load_ends_in_time_and_loses_nothing(
    service: str, platform: Platform, messages: list[str], client: Client, team: str
) -> None:
    await eventually(lambda: ready(platform), within=60, what="a platform that is ready")
    async with asking(client, team) as operations:
        await eventually(lambda: len(operations) >= 5, within=30, what="some load")
        pid = platform.pids[service]
        assert pid is not None
        messages.clear()
        os.kill(pid, signal.SIGTERM)
        assert await ending(service, pid, messages) == f"{service} ended (exit code 0)"
        await eventually(lambda: ready(platform), within=60, what="it has been started again")

    async def all_ended() -> bool:
        views = [await client.operation(operation) for operation in operations]
        return all(view.status == "succeeded" for view in views)

    await eventually(all_ended, within=60, what="the end of every operation")
    report = await client.completeness()
    assert report.complete, report.problems


async def ending(service: str, pid: int, messages: list[str]) -> str:
    """Return the supervisor's message about the end, which is forced after ten seconds."""

    def said() -> str:
        return next((text for text in messages if text.startswith(f"{service} ended")), "")

    try:
        await eventually(said, within=10, what="its end")
    except AssertionError:
        os.kill(pid, signal.SIGKILL)
        await eventually(said, what="its end by force")
    return said().partition(";")[0]


async def ready(platform: Platform) -> bool:
    states = await asyncio.to_thread(platform.readiness)
    return all(state.ready for state in states.values())
