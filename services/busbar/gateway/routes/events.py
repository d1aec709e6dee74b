"""``/v1/events``: accepts one CloudEvent as an intent.

CloudEvents over HTTP: section 3 of
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

from dataclasses import replace
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from busbar.gateway.domain import IntentRefused
from busbar.gateway.handlers import accept_intent
from busbar.gateway.routes.auth import Caller
from busbar.gateway.routes.dependencies import Use
from busbar.gateway.routes.openapi import accepted_headers, event_request
from busbar.gateway.routes.problems import problems
from busbar.messages.codec import http as codec
from busbar.messages.codec.kafka import MAX_BYTES
from busbar.messages.envelope import Envelope, Unreadable
from busbar.messages.http import Accepted
from busbar.runtime.http.problems import ProblemError

RETRY_AFTER_SECONDS: Final = "5"
"""When to send a refused intent again while the platform catches up."""

_JSON: Final = "send one JSON document (RFC 8259) in UTF-8, without duplicate names"
_FIXES: Final = {
    "not_a_cloudevent": "send content-type application/cloudevents+json and the event as the body,"
    " or ce- headers and the data as the body",
    "missing_attribute": "add what is named; a new id for a new event, the same id to try again",
    "empty_attribute": "give it a value, or leave it out if it is optional",
    "bad_attribute": "fix what is named; extensions are a-z and 0-9, values are text",
    "duplicate_attribute": "send it once",
    "bad_time": "write it like 2026-01-31T12:00:00Z, or leave it out",
    "bad_specversion": "send specversion 1.0",
    "bad_content_type": "send the data as JSON, structured or binary, in UTF-8",
    "bad_json": _JSON,
    "no_data": _JSON,
    "too_many_headers": "send fewer headers, or the event as application/cloudevents+json",
    "batch_not_supported": "send each event in its own request",
}
_DEFAULT_FIX: Final = "send one CloudEvent 1.0 in JSON, structured or binary"
_UNREADABLE_STATUSES: Final = {
    "bad_content_type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "batch_not_supported": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
}
_REFUSED_STATUSES: Final = {
    "conflict": HTTPStatus.CONFLICT,
    "busy": HTTPStatus.TOO_MANY_REQUESTS,
    "foreign_source": HTTPStatus.FORBIDDEN,
}

router = APIRouter(prefix="/v1/events", tags=["intents"])


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    response_description="The intent is stored and will be published and decided on; follow its"
    " operation.",
    responses={
        202: {"model": Accepted, "headers": accepted_headers()},
        **problems(
            _400="The request is not a CloudEvent in JSON; the code says what is wrong.",
            _403="The source of the event is not one of the principal that sends it.",
            _409="An event with this source and id was already accepted with a different body.",
            _413="The event is too large.",
            _415="The event is in a batch, or in a format other than JSON.",
            _422="The event cannot be an intent: its type is not one, its source is reserved, or it"
            " cannot be published. Its data is not looked at here.",
            _429="Too many intents are waiting for a decision; try again later.",
        ),
    },
    openapi_extra=event_request(),
)
async def post_event(request: Request, caller: Caller, use: Use) -> JSONResponse:
    """Publish one CloudEvent (structured or binary) as an intent.

    202 means that it is stored, not that it is granted: policy checks the data and decides, and the
    operation is then denied, or runs.
    """
    received = await read_event(request)
    data = await use.personal.seal(received.data)
    envelope = replace(received, data=data)
    result = await accept_intent(
        use.store,
        envelope,
        principal=caller.principal,
        traceparent=request.headers.get("traceparent"),
        lag=await use.backpressure.lag(),
    )
    if isinstance(result, IntentRefused):
        raise _problem(result)
    location = f"/v1/operations/{result.operation}"
    headers = {"Location": location, "Operation-Location": location}
    if result.replayed:
        headers["Idempotent-Replayed"] = "true"
    accepted = Accepted(operation=result.operation, resource=result.resource)
    return JSONResponse(accepted.model_dump(), status_code=HTTPStatus.ACCEPTED, headers=headers)


async def read_event(request: Request) -> Envelope:
    """Read the event in ``request`` strictly.

    Raises:
        ProblemError: the request holds no event (400), its format is not supported (415), or it
            is too large (413); at most one chunk too much is read.
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
            _UNREADABLE_STATUSES.get(error.code, HTTPStatus.BAD_REQUEST),
            error.code,
            error.detail,
            fix=_FIXES.get(error.code, _DEFAULT_FIX),
        ) from error


def _too_large() -> ProblemError:
    return ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too_large",
        f"an event has at most {MAX_BYTES} bytes",
        fix="store large content elsewhere and refer to it",
    )


def _problem(refused: IntentRefused) -> ProblemError:
    return ProblemError(
        _REFUSED_STATUSES.get(refused.code, HTTPStatus.UNPROCESSABLE_ENTITY),
        refused.code,
        refused.detail,
        fix=refused.fix,
        headers={"Retry-After": RETRY_AFTER_SECONDS} if refused.code == "busy" else None,
    )
