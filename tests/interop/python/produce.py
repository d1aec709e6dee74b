"""Publishes the events of a plan (tests/interop/plan.py) with the official SDK for Python."""

import asyncio
import json
import sys
from typing import Any

import aiohttp
from aiokafka import AIOKafkaProducer
from cloudevents.core.bindings import http, kafka
from cloudevents.core.v1.event import CloudEvent

Json = dict[str, Any]


def event_of(plan: Json, one: Json) -> CloudEvent:
    """Return the event ``one`` of ``plan``."""
    attributes = {
        "id": one["id"],
        "source": plan["source"],
        "type": plan["type"],
        "specversion": "1.0",
        "subject": one["key"],
        **one["extensions"],
    }
    if one["data"] is None:
        return CloudEvent(attributes)
    encoded = json.dumps(one["data"]).encode()
    data = encoded if one["encoding"] == "bytes" else one["data"]
    return CloudEvent({**attributes, "datacontenttype": one["content_type"]}, data)


async def over_kafka(producer: AIOKafkaProducer, plan: Json, one: Json) -> None:
    """Publish ``one`` to the topic."""
    event = event_of(plan, one)
    write = kafka.to_binary_event if one["mode"] == "binary" else kafka.to_structured_event
    message = write(event, key_mapper=lambda _: one["key"])
    key = message.key.encode() if isinstance(message.key, str) else message.key
    headers = list(message.headers.items())
    await producer.send_and_wait(plan["topic"], message.value, key=key, headers=headers)


async def over_http(session: aiohttp.ClientSession, plan: Json, one: Json) -> None:
    """Publish ``one`` to the gateway."""
    event = event_of(plan, one)
    write = http.to_binary_event if one["mode"] == "binary" else http.to_structured_event
    message = write(event)
    headers = {**message.headers, "authorization": f"Bearer {plan['token']}"}
    async with session.post(plan["gateway"], data=message.body, headers=headers) as response:
        if not response.ok:
            raise SystemExit(f"{one['id']}: {response.status} {await response.text()}")


async def main() -> None:
    """Publish every event of the plan on standard input."""
    plan = json.load(sys.stdin)
    producer = AIOKafkaProducer(bootstrap_servers=plan["kafka"])
    await producer.start()
    try:
        # Without a type for data that is not there: aiohttp would add one.
        async with aiohttp.ClientSession(skip_auto_headers=["content-type"]) as session:
            for one in plan["events"]:
                if one["transport"] == "kafka":
                    await over_kafka(producer, plan, one)
                else:
                    await over_http(session, plan, one)
    finally:
        await producer.stop()


if __name__ == "__main__":
    asyncio.run(main())
