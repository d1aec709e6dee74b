"""Sends what the scripts ask for, by the gateway and straight to Kafka, and sees how it ends."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from busbar.kernel.errors import BusbarError
from busbar.kernel.ids import operation_id
from busbar.messages import topics
from busbar.messages.resource import ApplyResource, DeleteResource
from busbar.sdk import Client
from busbar.sdk.events import intent_of
from faults.fire.script import ENDINGS, Ask, Script
from faults.fire.stage import Stage
from support import eventually
from support.webhooks import receiving

LONGEST = 14
"""The limit of intents for one resource."""


class Watcher:
    """Reads the facts of resources as they are published, like any consumer."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = AIOKafkaConsumer(
            topics.FACTS_RESOURCE,
            bootstrap_servers=bootstrap,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            group_id=None,
        )
        self.count = 0
        self.ends: dict[str, set[str]] = defaultdict(set)
        self.types: dict[str, set[str]] = defaultdict(set)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator["Watcher"]:
        """Read until the end of the block."""
        await self._consumer.start()
        reading = asyncio.create_task(self._read())
        try:
            yield self
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await self._consumer.stop()

    async def _read(self) -> None:
        async for record in self._consumer:
            headers = {name: (value or b"").decode() for name, value in record.headers}
            data = json.loads(record.value)
            self.count += 1
            operation = str(data.get("operation"))
            self.types[operation].add(headers["ce_type"])
            if headers["ce_type"] in ENDINGS:
                self.ends[operation].add(headers["ce_type"])

    async def more(self, count: int, *, within: float = 60) -> None:
        """Wait until ``count`` more facts have come."""
        goal = self.count + count
        await eventually(lambda: self.count >= goal, within=within, what=f"{count} more facts")


class Load:
    """Sends intents until it is stopped."""

    def __init__(self, stage: Stage, watcher: Watcher, work: Iterable[Script]) -> None:
        self.scripts = list(work)
        self.source = stage.client.source
        self._client: Client = stage.client
        self._watcher = watcher
        self._bootstrap = stage.kafka.bootstrap
        self._stopping = asyncio.Event()

    @property
    def asked(self) -> list[Ask]:
        """Everything that was sent."""
        return [ask for script in self.scripts for ask in script.asked]

    def operation(self, ask: Ask) -> str:
        """The operation of ``ask``."""
        return str(operation_id(self.source, ask.id))

    @asynccontextmanager
    async def running(self, *, longest: int = LONGEST) -> AsyncIterator["Load"]:
        """Ask on and on during the block; when it ends, everything that was begun was sent."""
        self._stopping.clear()
        async with AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, enable_idempotence=True
        ) as producer:
            asking = [
                asyncio.create_task(self._ask(number, script, producer, longest))
                for number, script in enumerate(self.scripts)
            ]
            try:
                yield self
            except BaseException:
                for task in asking:
                    task.cancel()
                raise
            finally:
                self._stopping.set()
                found = await asyncio.gather(*asking, return_exceptions=True)
            for problem in found:
                if isinstance(problem, BaseException):
                    raise problem

    async def _ask(
        self, number: int, script: Script, producer: AIOKafkaProducer, longest: int
    ) -> None:
        for _ in range(longest):
            ask = script.next()
            await eventually(
                lambda ask=ask: self._sent(number, ask, producer),  # type: ignore[misc]  # a default binds it
                within=90,
                every=0.2,
                what=f"sending {ask.id}",
            )
            # Half of them are queued behind the one before, the others wait for its end.
            waits = script.rng.random() < 0.5
            while waits and not (
                self._stopping.is_set() or self._watcher.ends[self.operation(ask)]
            ):
                await self._turn()
            if self._stopping.is_set():
                return

    async def _turn(self) -> None:
        try:
            async with asyncio.timeout(0.05):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _sent(self, number: int, ask: Ask, producer: AIOKafkaProducer) -> bool:
        """Send it one way or the other; always by the same way for a resource, for the order."""
        model = DeleteResource if ask.spec is None else ApplyResource
        try:
            if number % 2:
                await self._client.send(intent_of(model, ask.data), event_id=ask.id)
                return True
            headers = {
                "ce_specversion": "1.0",
                "ce_id": ask.id,
                "ce_source": self.source,
                "ce_type": model.TYPE,
                "content-type": "application/json",
            }
            await producer.send_and_wait(
                topics.INTENTS_RESOURCE,
                json.dumps(ask.data).encode(),
                key=ask.resource.encode(),
                headers=[(name, value.encode()) for name, value in headers.items()],
            )
        except (BusbarError, KafkaError, OSError):
            return False
        return True

    async def settled(self, *, within: float = 90) -> bool:
        """Wait until everything that was sent has ended; return whether it has."""
        try:
            await eventually(lambda: not self.open(), within=within, what="the end of everything")
        except AssertionError:
            return False
        return True

    def open(self) -> list[Ask]:
        """Return the operations that have not ended yet."""
        return [ask for ask in self.asked if not self._watcher.ends[self.operation(ask)]]


class Hook:
    """Receives webhooks."""

    def __init__(self) -> None:
        self.received: dict[str, set[str]] = defaultdict(set)
        """Ids of deliveries by operation and type."""

    def listening(self) -> AbstractAsyncContextManager[str]:
        """Be there during the block; gives the URL."""
        return receiving(self._take)

    async def _take(self, request: web.Request) -> web.Response:
        body: Mapping[str, object] = json.loads(await request.read())
        data = body.get("data")
        if isinstance(data, dict):
            about = f"{data.get('operation')} {body.get('type')}"
            self.received[about].add(request.headers["webhook-id"])
        return web.Response(status=204)
