"""Intents that are signed here and written to Kafka directly."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from busbar.cli.shared.exits import CommandError, ExitCode, usage
from busbar.kernel.ids import operation_text
from busbar.kernel.resource import ResourceId
from busbar.messages import topics
from busbar.messages.catalogue import topic_of
from busbar.messages.codec import kafka as codec
from busbar.messages.envelope import Envelope
from busbar.sdk import SigningKey, sign_record


@dataclass(frozen=True, slots=True)
class SignedRecord:
    """A record that is ready to be sent, and what it is about."""

    topic: str
    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]]
    about: str
    operation: str


class Published(NamedTuple):
    """An intent that Kafka has, at ``record`` (topic/partition/offset)."""

    about: str
    record: str
    operation: str


def signed_record(event: Envelope, key: SigningKey) -> SignedRecord:
    """Return ``event`` in binary mode, under the key of its topic, signed with ``key``.

    Raises:
        CommandError: it cannot be written.
    """
    operation = operation_text(event.source, event.id)
    resource = ResourceId.named_in(event.data)
    own = str(resource) if resource else event.subject or operation
    topic = topic_of(event.type) or topics.INTENTS_RESOURCE
    try:
        headers, value, record_key = codec.write(event)
    except ValueError as error:
        raise usage(f"{event.id}: {error}", fix="Correct it; nothing was published.") from error
    record_key = record_key or own.encode()
    signature = sign_record(key, topic=topic, record_key=record_key, headers=headers, value=value)
    return SignedRecord(topic, record_key, value, [*headers, signature], own, operation)


async def publish(
    records: Sequence[SignedRecord], bootstrap: str, *, within: float, done: list[Published]
) -> None:
    """Write ``records`` in order, each once; ``done`` are those that all in-sync replicas have.

    Raises:
        CommandError: Kafka does not take one, or not ``within`` this many seconds.
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the error that follows says it
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap.split(","),
        client_id="busbar-publish",
        acks="all",
        enable_idempotence=True,
        max_request_size=topics.RECORD_MAX_BYTES,
    )
    try:
        async with asyncio.timeout(within):
            await producer.start()
            for record in records:
                sent = await producer.send_and_wait(
                    record.topic, record.value, record.key, headers=record.headers
                )
                place = f"{record.topic}/{sent.partition}/{sent.offset}"
                done.append(Published(record.about, place, record.operation))
    except (KafkaError, OSError, TimeoutError) as error:
        raise _explained(error, bootstrap) from error
    finally:
        await producer.stop()


def _explained(error: Exception, bootstrap: str) -> CommandError:
    known: dict[type[Exception], tuple[str, str, ExitCode]] = {
        MessageSizeTooLargeError: (
            "Kafka does not take a record of this size.",
            "Make the intent smaller: it may have 256 KiB.",
            ExitCode.USAGE,
        ),
        TopicAuthorizationFailedError: (
            "Kafka does not let this client write to the topic.",
            "Have write access to the topics of intents granted.",
            ExitCode.DENIED,
        ),
        UnknownTopicOrPartitionError: (
            f"Kafka at {bootstrap} has no topics of busbar.",
            "Name the brokers of the platform; its services create the topics when they start.",
            ExitCode.UNREACHABLE,
        ),
        KafkaConnectionError: (
            f"Kafka at {bootstrap} cannot be reached.",
            "Check --bootstrap-server, and that the broker runs.",
            ExitCode.UNREACHABLE,
        ),
        TimeoutError: (
            f"Kafka at {bootstrap} did not take it in time.",
            "Try again under the same id, which makes it the same intent.",
            ExitCode.UNREACHABLE,
        ),
    }
    for kind, (problem, fix, code) in known.items():
        if isinstance(error, kind):
            return CommandError(problem, fix=fix, code=code)
    return CommandError(
        f"Kafka at {bootstrap} refused it ({type(error).__name__}).",
        fix="Try again under the same id, which makes it the same intent.",
        code=ExitCode.UNREACHABLE,
    )
