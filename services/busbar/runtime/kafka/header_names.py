"""Support for header names that are not UTF-8: aiokafka cannot read a record that has one.

Any producer may send one (Kafka's protocol requires UTF-8, but brokers do not check it). aiokafka
then fails at that record on every fetch, and discards the records before it in the same fetch. This
module decodes invalid bytes as surrogates, as in file names (PEP 383), without losing data.
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
    """A replacement for aiokafka's ``MemoryRecords`` that accepts any header name."""

    def __init__(self, data: bytes) -> None:
        """Read ``data``: consecutive batches, of which the last may be truncated."""
        self._data = data
        self._at = 0
        self._strict: Any = MemoryRecords(data)

    def size_in_bytes(self) -> int:
        """Return the number of fetched bytes."""
        return len(self._data)

    def has_next(self) -> bool:
        """Return whether there is another complete batch."""
        return bool(self._strict.has_next())

    def next_batch(self) -> Any:
        """Return the next complete batch."""
        start = self._at
        (length,) = struct.unpack_from(">i", self._data, start + _LENGTH_AT)
        self._at = start + _OVERHEAD + length
        batch = self._strict.next_batch()
        if self._data[start + _MAGIC_AT] < _WITH_HEADERS or batch.is_control_batch:
            return batch
        return _Batch(batch, memoryview(self._data)[start : self._at])


class _Batch:
    """A batch that is decoded again in Python if a header name in it is not UTF-8."""

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
            batch._buffer = _Lenient(batch._buffer)  # noqa: SLF001 - the only place for the bytes
            return iter(list(batch))


class _Lenient(bytearray):
    """Bytes whose slices decode without errors, even if they are not UTF-8."""

    def __getitem__(self, at: SupportsIndex | slice) -> Any:
        found = super().__getitem__(at)
        return _Lenient(found) if isinstance(found, bytearray) else found

    def decode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> str:
        return super().decode(encoding, errors)
