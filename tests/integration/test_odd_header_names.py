"""A header name that is not UTF-8 does not stop a consumer: all records are read."""

from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer

from busbar.runtime.kafka.reader import read_everything
from support import MakeTopic, RunningKafka
from support.odd_names import ODD, send_odd_name

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


@pytest.fixture(params=[None, "gzip", "zstd", "snappy", "lz4"])
async def producer(
    kafka: RunningKafka, request: pytest.FixtureRequest
) -> AsyncIterator[AIOKafkaProducer]:
    found = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, compression_type=request.param)
    await found.start()
    yield found
    await found.stop()


@pytest.mark.parametrize("producer", [None], indirect=True)
async def test_a_record_with_such_a_name_is_read_and_so_are_those_around_it(
    kafka: RunningKafka, topic: MakeTopic, producer: AIOKafkaProducer
) -> None:
    name = await topic()
    await producer.send_and_wait(name, b"before")
    offset = await send_odd_name(producer, name, 0, [b"beside", b"odd"])
    await producer.send_and_wait(name, b"behind", headers=[("x", b"2")])
    found = [record async for record in read_everything(kafka.bootstrap, [name])]
    assert [record.value for record in found] == [b"before", b"beside", b"odd", b"behind"]
    assert offset == 2
    assert list(found[2].headers) == [(ODD, b"1")]
    assert list(found[3].headers) == [("x", b"2")]


async def test_records_of_every_compression_are_read(
    kafka: RunningKafka, topic: MakeTopic, producer: AIOKafkaProducer
) -> None:
    name = await topic()
    for number in range(3):
        await producer.send_and_wait(name, b"%d" % number, headers=[("x", None)])
    found = [record async for record in read_everything(kafka.bootstrap, [name])]
    assert [record.value for record in found] == [b"0", b"1", b"2"]
    assert list(found[0].headers) == [("x", None)]
