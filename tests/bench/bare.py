"""``python -m bench.bare ROLE BOOTSTRAP DATABASE``: one hop of the platform, written by hand.

It stores and publishes what policy, the provisioner or audit would, by aiokafka and asyncpg alone:
nothing is validated, traced, retried or parked, and only the database is queried.
"""

import asyncio
import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from bench import rows
from busbar.kernel.ids import event_id, operation_id
from busbar.messages import topics
from busbar.messages.base import Message
from busbar.messages.policy import IntentAllowed
from busbar.messages.resource import (
    ResourceProvisioned,
    ResourceQueued,
    StepStarted,
    StepSucceeded,
)
from busbar.runtime.core.bus import PUBLISHED_BYTES

BATCH = 500
_INBOX = """INSERT INTO inbox (consumer, source, id, digest, recorded_time)
SELECT $1, source, id, '', $4 FROM unnest($2::text[], $3::text[]) AS new (source, id)
ON CONFLICT DO NOTHING"""
_OFFSETS = """INSERT INTO offsets (consumer, topic, partition, next_offset)
SELECT $1, * FROM unnest($2::text[], $3::int[], $4::bigint[])
ON CONFLICT (consumer, topic, partition) DO UPDATE SET next_offset = excluded.next_offset"""


@dataclass(frozen=True, slots=True)
class Event:
    """A record to store and publish."""

    id: str
    type: str
    topic: str | None
    stream: str
    version: int
    key: str
    operation: str
    cause: str
    data: str
    metadata: str

    @property
    def row(self) -> rows.Raw:
        return (
            self.stream,
            self.version,
            self.id,
            self.type,
            rows.NOW,
            rows.NOW,
            self.operation,
            self.cause,
            self.topic,
            self.key,
            self.data,
            self.metadata,
        )


class Hop:
    """Reads ``consumed`` and keeps its place in the schema of ``role``."""

    def __init__(self, role: str, bootstrap: str, database: str, *consumed: str) -> None:
        self.role = role
        self._database = database
        self._consumer = AIOKafkaConsumer(
            *consumed,
            bootstrap_servers=bootstrap,
            group_id=f"bench.{role}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
        )
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            enable_idempotence=True,
            max_batch_size=PUBLISHED_BYTES,
        )
        self._connection: Any = None

    async def run(self, handle: Callable[["Hop", Any], Any]) -> None:
        """Pass each batch to ``handle``, indefinitely."""
        settings = {"search_path": f"busbar_{self.role}"}
        self._connection = await asyncpg.connect(self._database, server_settings=settings)
        await self._producer.start()
        await self._consumer.start()
        while True:
            found = await self._consumer.getmany(timeout_ms=1000, max_records=BATCH)
            if found:
                await handle(self, found)
                await self._consumer.commit()

    async def store(
        self, events: Sequence[Event], found: Mapping[Any, Sequence[ConsumerRecord]] | None = None
    ) -> None:
        """Store ``events``, and with them how far ``found`` came, in one transaction."""
        async with self._connection.transaction():
            if found is not None:
                await self._note(found)
            columns = rows.columns([event.row for event in events])
            await self._connection.execute(rows.POSTGRES_INSERT, *columns)

    async def _note(self, found: Mapping[Any, Sequence[ConsumerRecord]]) -> None:
        if self.role != "audit":
            identities = [_identity(record) for record in _all(found)]
            await self._connection.execute(
                _INBOX, self.role, *map(list, zip(*identities, strict=True)), rows.NOW
            )
        places = [(tp.topic, tp.partition, batch[-1].offset + 1) for tp, batch in found.items()]
        await self._connection.execute(_OFFSETS, self.role, *map(list, zip(*places, strict=True)))

    async def publish(self, events: Sequence[Event]) -> None:
        """Publish ``events`` in order."""
        pending = [
            await self._producer.send(
                event.topic,
                event.data.encode(),
                key=event.key.encode(),
                headers=_headers(event, self.role),
            )
            for event in events
        ]
        for answer in pending:
            await answer


def _headers(event: Event, role: str) -> list[tuple[str, bytes]]:
    attributes = {
        "specversion": "1.0",
        "id": event.id,
        "source": f"/busbar/{role}",
        "type": event.type,
        "subject": event.key,
        "time": rows.NOW,
        "correlationid": event.operation,
        "causationid": event.cause,
        "partitionkey": event.key,
        "relay": role,
        "sequence": "0" * 20,
    }
    headers = [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
    return [*headers, ("content-type", b"application/json")]


def _all(found: Mapping[Any, Sequence[ConsumerRecord]]) -> list[ConsumerRecord]:
    return [record for records in found.values() for record in records]


def _identity(record: ConsumerRecord) -> tuple[str, str]:
    headers = dict(record.headers)
    return headers["ce_source"].decode(), headers["ce_id"].decode()


async def decide(hop: Hop, found: Any) -> None:
    """Policy: one verdict an intent."""
    events = []
    for record in _all(found):
        source, id_ = _identity(record)
        asked = json.loads(record.value)
        operation, resource = str(operation_id(source, id_)), record.key.decode()
        data = {
            **IntentAllowed.EXAMPLES[0],
            "operation": operation,
            "intent": {"source": source, "id": id_, "type": "busbar.resource.apply.v1"},
            "resource": resource,
            "requested": asked,
            "spec": asked["spec"],
        }
        events.append(_event(hop.role, IntentAllowed, 1, cause=id_, data=data))
    await hop.store(events, found)
    await hop.publish(events)


async def provision(hop: Hop, found: Any) -> None:
    """The provisioner: what is to be done is stored, done, and stored as done."""
    begun: list[Event] = []
    ended: list[Event] = []
    for record in _all(found):
        allowed = json.loads(record.value)
        resource, operation = allowed["resource"], allowed["operation"]
        about = {"operation": operation, "resource": resource}
        result = {**about, "intent": allowed["intent"], "spec": allowed["spec"]}
        facts: list[tuple[type[Message], Any, list[Event]]] = [
            (ResourceQueued, {**result, "plan": allowed["plan"]}, begun),
            (StepStarted, about, begun),
            (StepSucceeded, about, ended),
            (ResourceProvisioned, result, ended),
        ]
        for number, (model, fields, into) in enumerate(facts, start=1):
            data = {**model.EXAMPLES[0], **fields}
            into.append(_event(hop.role, model, number, cause=operation, data=data))
    await hop.store(begun, found)
    for event in begun:
        _nothing(event)
    await hop.store(ended)
    await hop.publish([*begun, *ended])


async def keep(hop: Hop, found: Any) -> None:
    """Audit: a copy of every record."""
    events = []
    for record in _all(found):
        headers = {name: value.decode() for name, value in record.headers}
        data = json.loads(record.value)
        place = f"{record.topic}/{record.partition}"
        operation = data.get("operation") or str(
            operation_id(headers["ce_source"], headers["ce_id"])
        )
        known = {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "value_digest": hashlib.sha256(record.value).hexdigest(),
            "extensions": headers,
        }
        events.append(
            Event(
                id=event_id("audit", place, str(record.offset), 0),
                type=headers["ce_type"],
                topic=None,
                stream=f"record/{place}",
                version=record.offset + 1,
                key=record.key.decode(),
                operation=operation,
                cause=str(record.offset),
                data=json.dumps(data),
                metadata=json.dumps(known),
            )
        )
    await hop.store(events, found)


def _nothing(_event: Event) -> None:
    """The effect."""


def _event(role: str, model: type[Message], number: int, *, cause: str, data: Any) -> Event:
    resource, operation = data["resource"], data["operation"]
    return Event(
        id=event_id(role, operation, cause, number),
        type=model.TYPE,
        topic=model.TOPIC,
        stream=f"resource/{resource}",
        version=number,
        key=resource,
        operation=operation,
        cause=cause,
        data=json.dumps(data),
        metadata=json.dumps({"source": f"/busbar/{role}", "subject": resource}),
    )


ROLES: Mapping[str, tuple[Callable[[Hop, Any], Any], tuple[str, ...]]] = {
    "policy": (decide, (topics.INTENTS_RESOURCE,)),
    "provisioner": (provision, (topics.FACTS_POLICY,)),
    "audit": (keep, (topics.INTENTS_RESOURCE, topics.FACTS_POLICY, topics.FACTS_RESOURCE)),
}


async def main(role: str, bootstrap: str, database: str) -> None:
    """Run the hop ``role`` until it is killed."""
    handle, consumed = ROLES[role]
    await Hop(role, bootstrap, database, *consumed).run(handle)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(*sys.argv[1:]))
