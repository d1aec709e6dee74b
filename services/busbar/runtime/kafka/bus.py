"""The bus on Kafka, through FastStream: the only module that declares a subscriber.

FastStream composes the consumer; the delivery guarantees are busbar's (ADR 3): batches only, manual
acknowledgement, a parser that never raises, and a seek to the stored offsets on assignment.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from aiokafka import (
    AIOKafkaProducer,
    ConsumerRebalanceListener,
    ConsumerRecord,
    TopicPartition,
)
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from busbar.messages import topics
from busbar.runtime.core.bus import PUBLISHED_BYTES, Consumer, Outgoing, Partition, Record
from busbar.runtime.kafka import patches
from busbar.runtime.kafka.errors import translated
from busbar.runtime.kafka.offsets import ReadPositions
from busbar.runtime.kafka.patches import PollingConsumer, partition_of
from busbar.runtime.telemetry import metrics
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()

POLL_MS = 10
"""FastStream's sleep after an empty poll, of which there is one per second."""

COMMIT_SECONDS = 1.0
"""Delay of offset commits. They only serve Kafka's tools, which refresh every few seconds."""

SESSION_SECONDS = 10.0
"""Silence of a member after which the group goes on without it."""

HEARTBEAT_MS = 1000
"""Interval of the consumer's heartbeats, by which it also learns that it has to join again."""

WAIT_SECONDS = 0.1
"""Longest wait of the broker for records to return. Partitions that were read wait for it too."""

GATHERED_BYTES = 512 * 1024
"""Size at which a batch is worth handling: the broker does not wait for more."""

STOP_SECONDS = 2.0
"""Time for a failed consumer to leave its group; the broker notices its absence otherwise."""

BEHIND_SECONDS = 1.0
"""Longest wait for a partition that temporarily has no position."""

MAX_RECORD_BYTES = 8 * 1024 * 1024
"""Limit of the producer; the limits of the topics are lower."""


class KafkaBus:
    """The bus of one service: its consumer in the group ``busbar.<service>``, and its producer."""

    def __init__(
        self,
        bootstrap: str,
        *,
        service: str,
        batch_records: int = 500,
        gather_seconds: float = 0.0,
        session_seconds: float = SESSION_SECONDS,
    ) -> None:
        """Create a bus that connects to ``bootstrap`` on :meth:`start`.

        Records may wait at the broker for up to ``gather_seconds`` until a batch is larger. The
        group goes on without a member that has been silent for ``session_seconds``.
        """
        self._bootstrap = bootstrap
        self._service = service
        self._batch_records = batch_records
        self._gather_seconds = gather_seconds
        self._session_seconds = session_seconds
        self._producer: AIOKafkaProducer | None = None
        self._subscriber: Any = None
        self._positions = ReadPositions()
        self._uncommitted: dict[Partition, int] = {}
        self._committing: asyncio.Task[None] | None = None
        self._subscription: Callable[[], None] | None = None
        self._is_consuming = False
        self._broker = self._new_broker()

    def _new_broker(self) -> KafkaBroker:
        return KafkaBroker(
            self._bootstrap.split(","),
            client_id=f"busbar-{self._service}",
            consumer_only=True,
            apply_types=False,  # batches need no validation by FastStream
            allow_auto_create_topics=False,
            logger=logging.getLogger("busbar.faststream"),
            log_level=logging.DEBUG,
        )

    def subscribe(
        self, topic_names: Sequence[str], consumer: Consumer, *, instance: str | None = None
    ) -> None:
        """Deliver the records of ``topic_names`` to ``consumer``.

        An instance of the service that has a stable name (``instance``) gets its partitions back
        immediately when it restarts after a kill, instead of when its session has expired.
        """
        self._subscription = partial(self._subscribe, topic_names, consumer, instance)
        self._subscription()

    def _subscribe(
        self, topic_names: Sequence[str], consumer: Consumer, instance: str | None
    ) -> None:
        self._subscriber = self._broker.subscriber(
            *topic_names,
            group_id=f"busbar.{self._service}",
            group_instance_id=instance,
            batch=True,
            max_records=self._batch_records,
            batch_timeout_ms=POLL_MS,
            ack_policy=AckPolicy.MANUAL,
            # The store says where to read (`_Assignments`). With "none", a consumer that has no
            # position yet would fail and pause for five seconds.
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_partition_fetch_bytes=topics.DEAD_LETTER_MAX_BYTES,
            fetch_min_bytes=GATHERED_BYTES if self._gather_seconds else 1,
            fetch_max_wait_ms=round((self._gather_seconds or WAIT_SECONDS) * 1000),
            session_timeout_ms=round(self._session_seconds * 1000),
            heartbeat_interval_ms=min(HEARTBEAT_MS, round(self._session_seconds * 1000 / 4)),
            parser=self._positions.parse,
            decoder=_decode,
            listener=_Assignments(self, consumer),
        )

        async def deliver(batch: list[Record]) -> None:
            batch = await self._positions.without_lost(batch, self._beginning)
            if batch:
                self.commit_soon(await consumer.handle_batch(batch))

        self._subscriber(deliver)

    async def start(self) -> None:
        """Connect the producer.

        Raises:
            BusUnavailable: no broker is reachable.
        """
        patches.apply()
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            client_id=f"busbar-{self._service}-relay",
            enable_idempotence=True,
            max_request_size=MAX_RECORD_BYTES,
            max_batch_size=PUBLISHED_BYTES,
            partitioner=partition_of,
        )
        try:
            with translated():
                await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._producer = producer

    async def consume(self) -> None:
        """Join the group and start delivery; return once partitions have been assigned.

        Raises:
            BusUnavailable: no broker is reachable.
        """
        if self._subscriber is not None:
            with translated():
                builder: Any = await self._broker.connect()
                consumer = partial(PollingConsumer, **builder.keywords)
                self._broker.config.broker_config.builder = consumer
                await self._broker.start()
            self._is_consuming = True

    async def stop(self) -> None:
        """Finish the current batch, leave the group and disconnect."""
        if self._committing is not None:
            self._committing.cancel()
            await self._commit()
        await self._broker.stop()
        if self._producer is not None:
            await self._producer.stop()

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Publish ``records`` in order; return when all of them are acknowledged.

        Raises:
            BusUnavailable: a record was not acknowledged.
        """
        if self._producer is None:
            raise RuntimeError("the bus has not been started")
        with translated():
            pending = [
                await self._producer.send(
                    record.topic, record.value, key=record.key, headers=list(record.headers)
                )
                for record in records
            ]
            await asyncio.gather(*pending)

    async def answers(self) -> bool:
        """Return whether a broker answers a metadata request within three seconds.

        A connection without an answer is closed before that, so that the next call makes a new one.
        """
        if self._producer is None:
            return False
        try:
            async with asyncio.timeout(patches.METADATA_SECONDS + 1):
                return bool(await self._producer.client.fetch_all_metadata())
        except (TimeoutError, KafkaError, OSError):
            return False

    def problem(self) -> str | None:
        """Return the reason that records are not delivered; None if they are or need not be."""
        if self._subscriber is None:
            return None
        consumer = self._subscriber.consumer
        if self.is_dead:
            return "the consumer has failed; it is being replaced"
        if self._positions.lost:
            return self._positions.lost
        if consumer is None or not consumer.assignment():
            return "the consumer has no partitions yet"
        if not all(self._positions.is_set(tp) for tp in consumer.assignment()):
            return "the consumer is still seeking its positions"
        return None

    @property
    def is_dead(self) -> bool:
        """True if the consumer has failed and delivers nothing more until :meth:`restart`."""
        if not self._is_consuming:
            return False
        consumer, loops = self._subscriber.consumer, self._subscriber.tasks
        if not loops or all(task.done() for task in loops):
            return True
        return isinstance(consumer, PollingConsumer) and consumer.is_dead

    async def restart(self) -> None:
        """Replace a consumer that has failed by a new one.

        Raises:
            BusUnavailable: no broker is reachable.
        """
        if self._subscription is None:
            return
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._broker.stop()
        except (TimeoutError, KafkaError, OSError) as error:
            log.warning("consumer_not_stopped", error=type(error).__name__)
        self._is_consuming = False
        self._broker = self._new_broker()
        self._positions.clear()
        self._subscription()
        await self.consume()

    async def behind(self) -> int:
        """Return the number of records on the broker that were not delivered here yet."""
        consumer = self._subscriber.consumer if self._subscriber is not None else None
        if consumer is None:
            return 0
        count = 0
        try:
            async with asyncio.timeout(BEHIND_SECONDS):
                for tp in filter(self._positions.is_set, consumer.assignment()):
                    end = consumer.last_stable_offset(tp) if tp in consumer.assignment() else None
                    count += 0 if end is None else max(0, end - await consumer.position(tp))
        except (TimeoutError, KafkaError):
            # A partition is being reassigned: readiness reports that, and the next call counts it.
            return count
        return count

    def count_rebalance(self) -> None:
        """Count a rebalance of partitions."""
        metrics.CONSUMER_REBALANCES.labels(self._service).inc()

    async def seek(self, assigned: set[TopicPartition], positions: Mapping[Partition, int]) -> None:
        """Seek to the stored ``positions``; start partitions without one at their beginning."""
        begin = await self._beginning(assigned)
        end = await self._subscriber.consumer.end_offsets(assigned)
        for tp in assigned:
            wanted = positions.get((tp.topic, tp.partition), begin[tp])
            if begin[tp] <= wanted <= end[tp]:
                self._subscriber.consumer.seek(tp, wanted)
                self._positions.set(tp, wanted)
            else:
                self._positions.mark_lost(tp, wanted, begin[tp], end[tp])

    def drop(self, revoked: set[TopicPartition]) -> None:
        """Drop records of ``revoked`` until these are assigned again and their position is set."""
        self._positions.drop(revoked)

    async def _beginning(self, partitions: Collection[TopicPartition]) -> dict[Any, int]:
        found: dict[Any, int] = await self._subscriber.consumer.beginning_offsets(list(partitions))
        return found

    def commit_soon(self, positions: Mapping[Partition, int]) -> None:
        """Commit ``positions`` soon, for Kafka's tools; the stored offsets are authoritative."""
        self._uncommitted.update(positions)
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_later())

    async def _commit_later(self) -> None:
        """Commit sequentially: a delayed older commit must not overwrite a newer one."""
        while self._uncommitted:
            await asyncio.sleep(COMMIT_SECONDS)
            await self._commit()
        self._committing = None

    async def _commit(self) -> None:
        consumer = self._subscriber.consumer
        ours = consumer.assignment() if consumer is not None else ()
        self._uncommitted = {
            place: offset for place, offset in self._uncommitted.items() if place in ours
        }
        pending = dict(self._uncommitted)
        try:
            if pending:
                offsets = {TopicPartition(*place): n for place, n in pending.items()}
                await consumer.commit_within_generation(offsets)
        except (KafkaError, OSError) as error:
            log.info("offset_commit_failed", error=type(error).__name__)
            return
        for place, offset in pending.items():
            if self._uncommitted.get(place) == offset:
                del self._uncommitted[place]


class _Assignments(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """A rebalance listener that seeks assigned partitions to the stored offsets."""

    def __init__(self, bus: KafkaBus, consumer: Consumer) -> None:
        self._bus = bus
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Drain, then drop later records. The store rejects a transaction that is still late."""
        await self._consumer.revoke([(tp.topic, tp.partition) for tp in revoked])
        self._bus.drop(revoked)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        while assigned:
            partitions = [(tp.topic, tp.partition) for tp in assigned]
            try:
                positions = await self._consumer.positions(partitions)
                await self._bus.seek(assigned, positions)
            except (KafkaError, OSError) as error:  # a store that is unreachable is an OSError
                # aiokafka would only log this, and continue from an arbitrary offset.
                log.warning("assignment_failed", error=type(error).__name__, again_in_seconds=1)
                await asyncio.sleep(1)
                continue
            self._bus.count_rebalance()
            # The previous owner may not have committed these offsets.
            self._bus.commit_soon(positions)
            log.info("partitions_assigned", partitions=len(assigned))
            return


async def _decode(message: Any) -> list[Record]:
    return [record_of(raw) for raw in message.body]


def record_of(raw: ConsumerRecord) -> Record:
    """Convert a record of the Kafka client."""
    return Record(
        topic=raw.topic,
        partition=raw.partition,
        offset=raw.offset,
        timestamp=raw.timestamp,
        key=raw.key,
        value=raw.value,
        headers=raw.headers,
    )
