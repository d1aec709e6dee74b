"""Records before a position is set are dropped; lost records stop their partition."""

from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from busbar.runtime.core.bus import Record
from busbar.runtime.kafka.offsets import ReadPositions

HERE = TopicPartition("t", 0)


def raw(offset: int, partition: int = 0) -> Any:
    return ConsumerRecord(
        topic="t",
        partition=partition,
        offset=offset,
        timestamp=0,
        timestamp_type=0,
        key=None,
        value=None,
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        headers=(),
    )


async def taken(positions: ReadPositions, *offsets: int, begin: int = 0) -> list[int]:
    async def beginning(partitions: Any) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, begin)

    message: Any = await positions.parse(tuple(raw(offset) for offset in offsets))
    batch = [Record("t", 0, item.offset, 0, None, None, ()) for item in message.body]
    return [record.offset for record in await positions.without_lost(batch, beginning)]


async def test_records_of_a_partition_without_a_position_are_dropped() -> None:
    positions = ReadPositions()
    assert await taken(positions, 7, 8) == []
    positions.set(HERE, 3)
    assert await taken(positions, 3, 4) == [3, 4]
    positions.drop([HERE])
    assert not positions.is_set(HERE)
    assert await taken(positions, 5) == []


async def test_positions_are_set_per_partition() -> None:
    positions = ReadPositions()
    positions.set(HERE, 0)
    message: Any = await positions.parse((raw(0), raw(0, partition=1)))
    assert [(item.partition, item.offset) for item in message.body] == [(0, 0)]


async def test_a_gap_that_the_broker_still_covers_is_legal() -> None:
    positions = ReadPositions()
    positions.set(HERE, 3)
    assert await taken(positions, 3, 5, 9, begin=0) == [3, 5, 9]
    assert positions.lost is None


@pytest.mark.parametrize("begin", [4, 9])
async def test_a_gap_that_retention_made_stops_the_partition(begin: int) -> None:
    positions = ReadPositions()
    positions.set(HERE, 3)
    assert await taken(positions, 9, 10, begin=begin) == []
    assert positions.lost is not None
    assert "t/0: offset 3" in positions.lost
    assert await taken(positions, 11) == []


async def test_lost_records_are_reported_until_they_are_restored() -> None:
    positions = ReadPositions()
    positions.mark_lost(HERE, wanted=3, begin=5, end=9)
    positions.set(TopicPartition("t", 1), 0)
    positions.drop([HERE])
    assert positions.lost is not None
