"""Webhooks are operated on a real platform: attempts, test events, deliveries made again."""

import asyncio
import json
import sys

from aiohttp import web

from busbar.cli.local import Platform
from busbar.messages.notification import SubscriptionTestRequested, WebhookDelivered
from busbar.messages.webhooks import DeliveryView
from busbar.sdk import Client
from support import eventually
from support.webhooks import receiving, subscribe

GONE, FINE = 410, 204


class Receiver:
    """Answers every request with one status, and keeps what it got."""

    def __init__(self) -> None:
        self.status = FINE
        self.ids: list[str] = []
        self.events: list[dict[str, object]] = []

    async def hook(self, request: web.Request) -> web.StreamResponse:
        self.ids.append(request.headers["webhook-id"])
        self.events.append(json.loads(await request.read()))
        assert request.headers["webhook-signature"].startswith("v1,")
        return web.Response(status=self.status)


async def busbar(platform: Platform, *arguments: str) -> int:
    """Run a command against ``platform`` and return its exit code."""
    command = (sys.executable, "-m", "busbar", "--home", str(platform.home), *arguments)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    return await process.wait()


async def failed(client: Client, subscription: str) -> list[DeliveryView]:
    return [one async for one in client.deliveries(subscription, status="failed")]


async def test_what_a_receiver_missed_is_seen_tested_and_delivered_again(
    client: Client, platform: Platform, team: str
) -> None:
    receiver, name = Receiver(), f"{team}/hook"
    async with receiving(receiver.hook) as url:
        await subscribe(client, platform.home, team=team, url=url)
        assert [one.url async for one in client.subscriptions(team=team)] == [url]

        receiver.status = GONE
        assert await busbar(platform, "subscription", "test", name) == 4
        made = await client.apply(f"{team}/dev/event-stream/orders", {"partitions": 1})
        assert (await client.wait(made.operation, timeout=60)).status == "succeeded"

        async def both_failed() -> bool:
            return len(await failed(client, name)) == 2

        await eventually(both_failed, within=60)
        test, missed = receiver.ids
        assert {one.event for one in await failed(client, name)} == {test, missed}
        (attempt,) = (await client.delivery(name, missed)).attempts
        assert attempt.outcome == f"status {GONE}"
        assert attempt.seconds is not None

        receiver.status = FINE
        assert await busbar(platform, "subscription", "test", name) == 0
        assert receiver.events[-1]["type"] == SubscriptionTestRequested.TYPE
        assert await busbar(platform, "subscription", "resend", name, "--since", "1h") == 0
        await eventually(lambda: receiver.ids.count(missed) == 2, within=60)
        assert receiver.ids.count(test) == 1
        async with asyncio.timeout(60):
            async for fact in client.facts(team=team, types=[WebhookDelivered], follow=True):
                if fact.message.event == missed:
                    break
        view = await client.delivery(name, missed)
        assert (view.status, len(view.attempts)) == ("delivered", 2)
    gone = await client.delete(f"{team}/dev/event-stream/orders")
    assert (await client.wait(gone.operation, timeout=60)).status == "succeeded"
