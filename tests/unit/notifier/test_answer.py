"""Status line and header of an answer, read from the bytes of any receiver."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.notifier.domain.answer import MAX_HEAD_BYTES, AnswerHead, HeadReader, NotHttpError

HEADS = [
    (b"HTTP/1.1 204 No Content\r\n\r\n", AnswerHead(204)),
    (b"HTTP/1.0 200\r\n\r\n", AnswerHead(200)),
    (b"HTTP/1.1 200 OK\n\n", AnswerHead(200)),
    (b"\r\n\r\nHTTP/1.1 200 OK\r\nx: y\r\n\r\n", AnswerHead(200)),
    (b"HTTP/1.1 503 No\r\nRETRY-after:  7 \r\nx: y\r\n\r\n", AnswerHead(503, "7")),
    (b"HTTP/1.1 503 No\r\nretry-after: 1\r\nretry-after: 2\r\n\r\n", AnswerHead(503, "1")),
    (b"HTTP/1.1 503 No\r\nretry-after: caf\xe9\r\n\r\n", AnswerHead(503, "café")),
    (b"HTTP/1.1 200 OK\r\nno colon\r\n folded\r\n: y\r\n\xff\x00: z\r\n\r\n", AnswerHead(200)),
    (b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", AnswerHead(200)),
    (b"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 103 Hints\r\na: b\r\n\r\nHTTP/1.1 202 A\r\n\r\n",
     AnswerHead(202)),
    (b"HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n", AnswerHead(101)),
    (b"HTTP/1.1 999 Odd\r\n\r\n", AnswerHead(999)),
    (b"HTTP/1.1 204 No\r\ncontent-length: 0\r\n\r\n", AnswerHead(204)),
    (b"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n", AnswerHead(204, misframed=True)),
    (b"HTTP/1.1 304 No\r\ntransfer-encoding: chunked\r\n\r\n", AnswerHead(304, misframed=True)),
]  # fmt: skip


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def read(parts: list[bytes]) -> AnswerHead | None:
    reader = HeadReader()
    for part in parts:
        if head := reader.feed(part):
            return head
    return None


@given(st.sampled_from(HEADS), st.binary(max_size=40), st.lists(st.integers(0, 10_000), max_size=6))
def test_a_complete_head_decides_however_it_arrives_and_whatever_follows(
    case: tuple[bytes, AnswerHead], rest: bytes, cuts: list[int]
) -> None:
    raw, expected = case
    assert read(pieces(raw + rest, cuts)) == expected
    assert read([raw[index : index + 1] for index in range(len(raw))]) == expected


@given(st.sampled_from(HEADS), st.data())
def test_an_incomplete_head_is_not_an_answer(
    case: tuple[bytes, AnswerHead], data: st.DataObject
) -> None:
    raw, _ = case
    assert read([raw[: data.draw(st.integers(0, len(raw) - 1))]]) is None or raw.count(b"\n\n")


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"S",
        b"HTTQ",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1200 OK\r\n\r\n",
        b"HTTP/1.1 100 Go on\r\n\r\nnonsense",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * MAX_HEAD_BYTES,
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n",
        b"HTTP/1.1 100 Go on\r\n\r\n" * 4096,
        b"\r\n" * MAX_HEAD_BYTES,
    ],
)
def test_what_is_not_http_or_has_no_end_is_refused(raw: bytes) -> None:
    with pytest.raises(NotHttpError):
        read([raw])


@given(st.binary(max_size=80) | st.binary(max_size=60).map(b"HTTP/1.1 ".__add__))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    reader = HeadReader()
    try:
        head = reader.feed(raw)
    except NotHttpError as error:
        assert str(error)  # noqa: PT017 - either outcome is right
    else:
        assert head is None or 101 <= head.status <= 999
