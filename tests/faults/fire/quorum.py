"""The log of Kafka's controllers: every topic that was ever made, and nothing that was not.

A controller writes a topic to its own log file before its decision is stored. If it is killed in
between, that topic was never made, whatever it said.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from aiokafka.protocol.types import CompactString, UnsignedVarInt32
from aiokafka.record.memory_records import MemoryRecords

_FOLDER = "__cluster_metadata-0"
_TOPIC_RECORD = 2
"""https://github.com/apache/kafka/blob/4.1.0/metadata/src/main/resources/common/metadata/TopicRecord.json"""
_ID_BYTES = 16


def topics_made(records: Path) -> Counter[str]:
    """Count how often each topic was made in the cluster whose broker keeps ``records`` there.

    Raises:
        ValueError: the log does not begin at its beginning, so the number is unknown.
    """
    segments = sorted((records / _FOLDER).glob("*.log"))
    if not segments or int(segments[0].stem) != 0:
        raise ValueError(f"the controllers' log in {records} is not whole")
    ids: dict[str, set[bytes]] = defaultdict(set)
    for segment in segments:
        for value in _values(segment.read_bytes()):
            if (found := _topic(value)) is not None:
                name, id_ = found
                ids[name].add(id_)
    return Counter({name: len(known) for name, known in ids.items()})


def _values(segment: bytes) -> Iterator[bytes]:
    """The records' values; messages between leaders have none of interest."""
    batches = MemoryRecords(segment)
    while batches.has_next():
        batch = batches.next_batch()
        if batch is None or batch.is_control_batch:
            continue
        for record in batch:
            if record.value:
                yield record.value


def _topic(value: bytes) -> tuple[str, bytes] | None:
    """Name and id, if ``value`` says that a topic was made: a frame, then Kafka's compact form."""
    rest = BytesIO(value)
    _frame, kind, _version = (UnsignedVarInt32.decode(rest) for _ in range(3))
    if kind != _TOPIC_RECORD:
        return None
    return str(CompactString().decode(rest)), rest.read(_ID_BYTES)
