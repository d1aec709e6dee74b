"""The copy in this process: records by hand into a real store."""

import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from busbar.audit.domain import AuditRecord, Published
from busbar.audit.handlers import Audit, records
from busbar.messages.base import Message
from busbar.messages.codec import kafka as codec
from busbar.messages.delivery import HeadPublished
from busbar.messages.envelope import Envelope
from busbar.messages.signing import SigningKey, sign
from busbar.runtime.consume.dead_letters import DeadLetters
from busbar.runtime.consume.engine import Engine
from busbar.runtime.core.bus import Headers, Partition, Record
from busbar.runtime.outbox.events import GENESIS, chain
from busbar.runtime.store import Store, open_store
from busbar.testing import ManualClock
from support.personal import no_personal_data
from support.runtime import (
    cipher,
)

SOURCE = "urn:team:payments"
BATCH = 3
"""Records of the bus that are compared at a time."""


class Bus:
    """A bus that audit reads, and that it can be compared with afterwards."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store, self.clock = store, clock
        service = Audit(cipher(), no_personal_data()).service()
        dead_letters = DeadLetters("audit", cipher())
        self.engine = Engine(service, store, dead_letters, clock=clock, attempts=2)
        self.records: list[Record] = []
        self.ends: dict[Partition, int] = {}
        self._ends: dict[tuple[str, int], int] = defaultdict(int)
        self._sequences: dict[str, int] = defaultdict(int)
        self._links: dict[str, str] = defaultdict(lambda: GENESIS)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator["Bus"]:
        """As the bus that audit compares its copy with: it ends where it ends now."""
        self.ends = dict(self._ends)
        yield self

    async def batches(self) -> AsyncIterator[tuple[Partition, list[Published]]]:
        for partition, end in sorted(self.ends.items()):
            batch = [
                Published(record.offset, hashlib.sha256(record.value or b"").hexdigest())
                for record in self.records
                if (record.topic, record.partition) == partition and record.offset < end
            ]
            for first in range(0, len(batch), BATCH):
                yield partition, batch[first : first + BATCH]

    def raw(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = b"k",
        headers: Headers = (),
        partition: int = 0,
    ) -> Record:
        """The next record of the partition, whatever is in it."""
        self.clock.advance(1)
        offset = self._ends[topic, partition]
        self._ends[topic, partition] += 1
        timestamp = int(self.clock.now().timestamp() * 1000)
        record = Record(topic, partition, offset, timestamp, key, value, headers)
        self.records.append(record)
        return record

    def event(
        self,
        envelope: Envelope,
        topic: str,
        *,
        partition: int = 0,
        signer: SigningKey | None = None,
    ) -> Record:
        headers, value, key = codec.write(envelope)
        if signer is not None:
            own = sign(signer, topic=topic, record_key=key, headers=headers, value=value)
            headers = [*headers, own]
        return self.raw(topic, value, key=key, headers=headers, partition=partition)

    def message(
        self,
        message: Message,
        id_: str,
        *,
        source: str = SOURCE,
        relay: str | None = None,
        partition: int = 0,
        topic: str | None = None,
        timed: bool = True,
        signer: SigningKey | None = None,
        **extensions: str,
    ) -> Record:
        """``message`` in an event of this id; a relay numbers it and chains it."""
        data = message.model_dump(mode="json")
        numbered = {}
        if relay is not None:
            source = f"/busbar/{relay}"
            self._sequences[relay] += 1
            self._links[relay] = chain(self._links[relay], source, id_, message.TYPE, data)
            numbered = {"relay": relay, "sequence": f"{self._sequences[relay]:020d}"}
        envelope = Envelope(
            id=id_,
            source=source,
            type=message.TYPE,
            time=self.clock.now() if timed else None,
            extensions={**numbered, **extensions},
            data=data,
            key="k",
        )
        return self.event(envelope, topic or message.TOPIC, partition=partition, signer=signer)

    def head(
        self, relay: str, signer: SigningKey | None = None, *, source: str = "", partition: int = 0
    ) -> Record:
        """Publish the head of ``relay``."""
        sequence = self._sequences[relay]
        head = HeadPublished(
            relay=relay, sequence=sequence, count=sequence, digest=self._links[relay]
        )
        return self.message(
            head,
            f"head-{sequence}",
            source=source or f"/busbar/{relay}",
            signer=signer,
            partition=partition,
        )

    async def consume(self, *records: Record) -> None:
        """Have audit read ``records``, or everything that it has not read yet."""
        await self.engine.handle_batch(records or self.records)

    async def copy(self, **criteria: Any) -> list[AuditRecord]:
        return [record async for record in records(self.store, **criteria)]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    opened = await open_store(tmp_path / "audit.db", service="audit", clock=clock)
    yield opened
    await opened.close()


@pytest.fixture
def bus(store: Store, clock: ManualClock) -> Bus:
    return Bus(store, clock)
