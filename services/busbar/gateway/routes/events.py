"""From an HTTP request to an event, read strictly; what is wrong is said with what to do."""

from http import HTTPStatus
from typing import Final

from fastapi import Request

from busbar.messages.codec import http as codec
from busbar.messages.codec.kafka import MAX_BYTES
from busbar.messages.envelope import Envelope, Unreadable
from busbar.runtime.http.problems import ProblemError

_JSON: Final = "send one JSON document (RFC 8259) in UTF-8 that means one thing only"
_FIXES: Final = {
    "not_a_cloudevent": "send content-type application/cloudevents+json and the event as the body,"
    " or ce- headers and the data as the body",
    "missing_attribute": "add what is named; a new id for a new event, the same id to try again",
    "empty_attribute": "give it a value, or leave it out if it is optional",
    "bad_attribute": "mend what is named; extensions are 1 to 20 of a-z and 0-9, values are text",
    "duplicate_attribute": "send it once",
    "bad_time": "write it like 2026-01-31T12:00:00Z, or leave it out",
    "bad_specversion": "send specversion 1.0",
    "bad_content_type": "send the data as JSON, structured or binary, in UTF-8",
    "bad_json": _JSON,
    "no_data": _JSON,
    "too_many_headers": "send fewer headers, or the event as application/cloudevents+json",
    "batch_not_supported": "send each event in a request of its own",
}
_STATUSES: Final = {
    "bad_content_type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "batch_not_supported": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
}
_OTHERWISE: Final = "send one CloudEvent 1.0 in JSON, structured or binary"


async def read_event(request: Request) -> Envelope:
    """The event in ``request``.

    Raises:
        ProblemError: there is none (400), its format is none of ours (415), or it is too large
            (413); at most a chunk too much is read.
    """
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > MAX_BYTES:
        raise _too_large()
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise _too_large()
    try:
        return codec.read(request.headers.items(), bytes(body))
    except Unreadable as error:
        raise ProblemError(
            _STATUSES.get(error.code, HTTPStatus.BAD_REQUEST),
            error.code,
            error.detail,
            fix=_FIXES.get(error.code, _OTHERWISE),
        ) from error


def _too_large() -> ProblemError:
    return ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too_large",
        f"an event has at most {MAX_BYTES} bytes",
        fix="put large content somewhere else and refer to it",
    )
