"""Looks for a value wherever a platform writes: files of any kind, and every record on Kafka."""

from collections.abc import Iterator
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

CHUNK = 1 << 20
PATIENCE_MS = 1000


def in_files(needle: str, *folders: Path) -> list[str]:
    """The files below ``folders`` that hold ``needle``, however large they are."""
    wanted = needle.encode()
    return [str(path) for path in _files(*folders) if _holds(path, wanted)]


def _files(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in sorted(folder.rglob("*")) if path.is_file())


def _holds(path: Path, wanted: bytes) -> bool:
    end = b""
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                if wanted in end + chunk:
                    return True
                end = chunk[-len(wanted) :]
    except FileNotFoundError:  # removed since it was listed
        return False
    return False


async def _partitions(bootstrap: str) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in await admin.describe_topics()
            for partition in topic["partitions"]
        ]
    finally:
        await admin.close()


async def in_topics(bootstrap: str, *needles: str) -> dict[str, list[str]]:
    """For each of ``needles`` the places of the records that hold it, as topic/partition/offset."""
    found: dict[str, list[str]] = {needle: [] for needle in needles}
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = await _partitions(bootstrap)
        ends = await consumer.end_offsets(partitions)
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        waiting = {partition for partition in partitions if ends[partition]}
        while waiting:
            for records in (await consumer.getmany(timeout_ms=PATIENCE_MS)).values():
                for record in records:
                    parts = [record.key, record.value, *(value for _, value in record.headers)]
                    whole = b"\0".join(part for part in parts if part)
                    where = f"{record.topic}/{record.partition}/{record.offset}"
                    for needle in needles:
                        if needle.encode() in whole:
                            found[needle].append(where)
            waiting = {one for one in waiting if await consumer.position(one) < ends[one]}
    finally:
        await consumer.stop()
    return found
