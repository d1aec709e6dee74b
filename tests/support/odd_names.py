"""Records whose headers have names that are not UTF-8, as producers in C can send them."""

import struct
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

ODD = "a\udcffc"
"""The name, as Python spells it (PEP 383)."""

_CRC_AT, _CHECKED_FROM = 17, 21  # https://kafka.apache.org/documentation/#recordbatch


async def send_odd_name(
    producer: AIOKafkaProducer, topic: str, partition: int, values: list[bytes]
) -> int:
    """Send ``values`` as one batch, the last one with a header called :data:`ODD`; its offset."""
    batch: Any = producer.create_batch()
    for value in values[:-1]:
        batch.append(key=None, value=value, timestamp=None)
    batch.append(key=None, value=values[-1], timestamp=None, headers=[("aXc", b"1")])
    batch.close()
    spelled = bytearray(bytes(batch._build()).replace(b"aXc", b"a\xffc"))
    struct.pack_into(">I", spelled, _CRC_AT, calc_crc32c(bytes(spelled[_CHECKED_FROM:])))
    batch._buffer = bytes(spelled)
    sent = await (await producer.send_batch(batch, topic, partition=partition))
    return int(sent.offset) + len(values) - 1
