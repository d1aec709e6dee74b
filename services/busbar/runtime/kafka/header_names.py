"""Names of headers that are not UTF-8: aiokafka cannot read a record that has one.

Any producer may send one (Kafka's own protocol asks for UTF-8, brokers do not look), and aiokafka
fails at that record for ever, having thrown away those before it in the same fetch. Here the bytes
that are no UTF-8 become surrogates, as in file names (PEP 383), and nothing is lost.
"""

import struct
from collections.abc import Iterator
from typing import Any, SupportsIndex

from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_LENGTH_AT, _OVERHEAD, _MAGIC_AT = 8, 12, 16
_WITH_HEADERS = 2


class LenientRecords:
    """aiokafka's records of one fetch, whatever the names of their headers."""

    def __init__(self, data: bytes) -> None:
        """Read ``data``, batches one behind the other; the last may be cut off."""
        self._data = data
        self._at = 0
        self._strict: Any = MemoryRecords(data)

    def size_in_bytes(self) -> int:
        """How much was fetched."""
        return len(self._data)

    def has_next(self) -> bool:
        """Whether there is another whole batch."""
        return bool(self._strict.has_next())

    def next_batch(self) -> Any:
        """The next whole batch."""
        start = self._at
        (length,) = struct.unpack_from(">i", self._data, start + _LENGTH_AT)
        self._at = start + _OVERHEAD + length
        batch = self._strict.next_batch()
        if self._data[start + _MAGIC_AT] < _WITH_HEADERS or batch.is_control_batch:
            return batch
        return _Batch(batch, memoryview(self._data)[start : self._at])


class _Batch:
    """A batch that is read again, slowly, if a name in it is not UTF-8."""

    def __init__(self, strict: Any, raw: memoryview) -> None:
        self._strict = strict
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strict, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._strict))
        except (UnicodeDecodeError, CorruptRecordException):
            batch: Any = _DefaultRecordBatchPy(self._raw)
            iter(batch)  # decompresses it
            batch._buffer = _Lenient(batch._buffer)  # noqa: SLF001 - its only place for the bytes
            return iter(list(batch))


class _Lenient(bytearray):
    """Bytes whose parts decode whatever they are."""

    def __getitem__(self, at: SupportsIndex | slice) -> Any:
        found = super().__getitem__(at)
        return _Lenient(found) if isinstance(found, bytearray) else found

    def decode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> str:
        return super().decode(encoding, errors)
