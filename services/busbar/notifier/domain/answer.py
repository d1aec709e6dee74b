"""Reads the status line and the header of a receiver's answer, and nothing after them.

They alone decide what becomes of a delivery, so they are read leniently: a wrong length, a field
without a colon or a body that does not fit is the receiver's mistake, and its status stands.

Source: https://www.rfc-editor.org/rfc/rfc9112#section-2 and section 4
"""

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

MAX_HEAD_BYTES: Final = 64 * 1024
"""Maximum size of status line and header, those of interim answers included."""

_START: Final = b"HTTP/1."
_STATUS_LINE = re.compile(rb"HTTP/1\.[0-9] (?P<status>[1-9][0-9]{2})(?: .*)?")
_END = re.compile(rb"\r?\n\r?\n")
_END_BYTES: Final = 4
_NOT_HTTP: Final = "the answer does not begin with a status line of HTTP/1"
_BODILESS: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class NotHttpError(ValueError):
    """The bytes are not the beginning of an HTTP/1 answer."""


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """The status of an answer, its ``Retry-After`` and whether other bytes may follow it."""

    status: int
    retry_after: str | None = field(default=None, repr=False)
    misframed: bool = False
    """Whether it announces a body that its status cannot have."""


class HeadReader:
    """Collects the bytes of one answer until its status line and header are complete."""

    def __init__(self) -> None:
        self._unread = bytearray()
        self._searched = 0
        self._size = 0
        self._begun = False

    def feed(self, data: bytes) -> AnswerHead | None:
        """Return the head of the final answer as soon as it is complete.

        Raises:
            NotHttpError: the answer is not HTTP/1, or its head is too large.
        """
        self._size += len(data)
        self._unread += data
        while True:
            self._begin()
            end = _END.search(self._unread, max(0, self._searched - _END_BYTES))
            if end is None:
                break
            head = _head(bytes(self._unread[: end.start()]))
            if not _is_interim(head.status):
                return head
            del self._unread[: end.end()]
            self._searched, self._begun = 0, False
        self._searched = len(self._unread)
        if self._size > MAX_HEAD_BYTES:
            raise NotHttpError(f"the header is larger than {MAX_HEAD_BYTES // 1024} kB")
        return None

    def _begin(self) -> None:
        """Skip empty lines in front of the status line, and refuse what cannot become one."""
        if self._begun:
            return
        blank = len(self._unread) - len(self._unread.lstrip(b"\r\n"))
        del self._unread[:blank]
        self._begun = len(self._unread) >= len(_START)
        if not _START.startswith(self._unread[: len(_START)]):
            raise NotHttpError(_NOT_HTTP)


def _is_interim(status: int) -> bool:
    switching = status == HTTPStatus.SWITCHING_PROTOCOLS  # the last answer of HTTP
    return status < HTTPStatus.OK and not switching


def _head(raw: bytes) -> AnswerHead:
    first, *lines = raw.split(b"\n")
    matched = _STATUS_LINE.fullmatch(first.removesuffix(b"\r"))
    if matched is None or len(raw) > MAX_HEAD_BYTES:
        raise NotHttpError(_NOT_HTTP)
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        fields.setdefault(name.strip().lower(), value.strip())
    status = int(matched["status"])
    announced = b"transfer-encoding" in fields or fields.get(b"content-length", b"0") != b"0"
    retry_after = fields.get(b"retry-after")
    return AnswerHead(
        status=status,
        retry_after=None if retry_after is None else retry_after.decode("latin-1"),
        misframed=announced and status in _BODILESS,
    )
