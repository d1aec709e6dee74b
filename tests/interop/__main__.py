"""``make interop``: the official SDKs as producers, at a whole platform.

Each of them publishes intents in both modes, over Kafka and over HTTP; each intent has to become
the operation that its source and id say, with the outcome that its data deserve.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from pydantic import SecretStr

from busbar.cli.local import Platform
from busbar.kernel.errors import BusbarError
from busbar.messages import topics
from busbar.messages.codec import kafka as codec
from busbar.messages.envelope import Unreadable
from busbar.messages.views import OperationView
from busbar.runtime.core.settings import load_settings
from busbar.sdk import Client, StillRunning
from interop.plan import Plan, Planned, plan_for, problem_with, problem_with_extensions
from interop.producers import PRODUCERS
from interop.programs import InteropError, check_tools
from support import eventually
from support.platforms import accepting_unsigned

WAIT_SECONDS = 120


def say(text: str) -> None:
    """Print ``text``."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextmanager
def running_platform() -> Iterator[Platform]:
    """A platform of its own on free ports, stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="busbar-interop-") as home:
        bootstrap = load_settings().kafka_bootstrap_servers
        platform = Platform(Path(home), bootstrap=bootstrap, services=accepting_unsigned)
        try:
            platform.start()
            platform.wait_ready()
            yield platform
        finally:
            platform.stop()


async def outcomes(client: Client, plan: Plan, extensions: dict[str, dict[str, str]]) -> list[str]:
    """Return the problems with the operations of ``plan``, and print each outcome."""
    problems = []
    for one in plan.events:
        problem = await _outcome(client, plan, one)
        problem = problem or problem_with_extensions(one, extensions.get(one.id, {}))
        say(f"  {one.label:30} {problem or 'ok'}")
        if problem:
            problems.append(f"{plan.source}, {one.label}: {problem}")
    return problems


async def _outcome(client: Client, plan: Plan, one: Planned) -> str | None:
    async def ended() -> OperationView | None:
        try:
            return await client.wait(plan.operation(one), timeout=WAIT_SECONDS)
        except StillRunning as error:
            return error.view

    what = f"the operation of {one.id}"
    try:
        view = await eventually(ended, within=WAIT_SECONDS, every=0.5, what=what)
    except AssertionError as error:
        return str(error)
    return problem_with(plan, one, view) if view else "it has no operation"


async def extensions_on(bootstrap: str) -> dict[str, dict[str, str]]:
    """Return the extensions of every event on the topic of intents, by its id."""
    found: dict[str, dict[str, str]] = {}
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        partitions = [TopicPartition(topics.INTENTS_RESOURCE, n) for n in range(topics.PARTITIONS)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(one) < ends[one] for one in partitions]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    try:
                        event = codec.read(record.headers, record.value, record.key)
                    except Unreadable:
                        continue
                    found[event.id] = dict(event.extensions)
    finally:
        await consumer.stop()
    return found


async def _check(platform: Platform, plans: list[Plan]) -> list[str]:
    token = SecretStr(platform.token_file.read_text(encoding="ascii").strip())
    problems: list[str] = []
    extensions = await extensions_on(platform.bootstrap)
    async with Client(platform.url, token, source="urn:interop") as client:
        for plan in plans:
            say(plan.source)
            problems += await outcomes(client, plan, extensions)
    return problems


def main() -> int:
    """Build the producers, run them at a platform, and return the exit code."""
    try:
        check_tools(PRODUCERS)
        for producer in PRODUCERS:
            say(f"building the producer in {producer.name}")
            producer.prepare()
        with running_platform() as platform:
            token = platform.token_file.read_text(encoding="ascii").strip()
            plans = []
            for producer in PRODUCERS:
                plan = plan_for(producer.name)
                given = plan.as_input(kafka=platform.bootstrap, gateway=platform.url, token=token)
                producer.answer(json.dumps(given))
                plans.append(plan)
            problems = asyncio.run(_check(platform, plans))
    except (InteropError, BusbarError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    say(f"{sum(len(plan.events) for plan in plans)} events, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
