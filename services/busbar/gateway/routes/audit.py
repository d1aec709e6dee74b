"""``/v1/audit``: responses of the audit service, passed on."""

from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from busbar.gateway.adapters import AuditUnavailable
from busbar.gateway.routes.dependencies import Use
from busbar.gateway.routes.parameters import After, ByOperation, ByResource, Limit
from busbar.gateway.routes.problems import BAD_PARAMETER, FORBIDDEN, REF, problems
from busbar.gateway.routes.reading import Read
from busbar.gateway.routes.views import Views
from busbar.messages import audit_scope
from busbar.messages.http import (
    NDJSON,
    PLAIN_TEXT,
    AuditRecordPage,
    CompletenessLine,
    ExplanationLine,
    StateLine,
)
from busbar.runtime.http.numbers import WHOLE
from busbar.runtime.http.problems import MEDIA_TYPE, ProblemError, problem_of
from busbar.runtime.http.strict import takes_only_text

router = APIRouter(prefix="/v1/audit", tags=["audit"])

Continue = Annotated[str | None, Query(description="The last `cursor`, to continue after it.")]


def _described(
    model: type[BaseModel], *, media_type: str = "application/json", **more: str
) -> dict[str, Any]:
    """Describe an endpoint whose answer is one of the audit service, with this ``model``.

    In lines (``NDJSON``), each line is one.
    """
    schema = {"$ref": REF.format(model=model.__name__)}
    content: dict[str, Any] = {media_type: {"schema": schema}}
    if media_type == NDJSON:  # many generators of clients know no lines of JSON
        content[PLAIN_TEXT] = {"schema": {"type": "string", "description": "The same lines."}}
    return {
        "response_class": Response,
        "response_model": None,
        "responses": {
            200: {
                "description": "The response of the audit service.",
                "content": content,
            },
            **problems(
                _400=BAD_PARAMETER,
                _403=FORBIDDEN,
                _502="The audit service failed.",
                _503="The audit service cannot be reached.",
                **more,
            ),
        },
    }


@router.get("/records", **_described(AuditRecordPage))
async def list_audit_records(
    request: Request,
    use: Use,
    views: Read,
    *,
    after: After = None,
    limit: Limit = 500,
    resource: ByResource = None,
    operation: ByOperation = None,
) -> Response:
    """List audit records in order of arrival."""
    del after, limit, operation
    views.require_about(resource=resource)
    return await _passed_on(request, use, views)


@router.get("/completeness", **_described(CompletenessLine, media_type=NDJSON))
async def get_completeness(request: Request, use: Use, views: Read) -> Response:
    """Compare the audit log with everything that was published, by every team."""
    views.require(None)
    return await _passed_on(request, use, views)


@router.get(
    "/explain",
    **_described(ExplanationLine, media_type=NDJSON, _404="The log has nothing about it."),
)
async def get_explanation(
    request: Request,
    use: Use,
    views: Read,
    *,
    resource: ByResource = None,
    operation: ByOperation = None,
    after: Continue = None,
    last: Annotated[
        int | None,
        Query(ge=1, le=1000, description="Only so many of the resource's newest operations."),
        WHOLE,
    ] = None,
) -> Response:
    """Explain one operation in sentences, or those of one resource, line by line."""
    del operation, after, last
    views.require_about(resource=resource)
    return await _passed_on(request, use, views)


@router.get("/state", **_described(StateLine, media_type=NDJSON))
async def get_state(
    request: Request,
    use: Use,
    views: Read,
    *,
    at: Annotated[
        str | None, Query(description="A time, as `2026-01-31T12:00:00Z`; now if omitted.")
    ] = None,
    resource: ByResource = None,
    by: Annotated[
        Literal["recorded", "event"],
        Query(description="Which time counts: that of the record, or that of the event."),
    ] = "recorded",
    after: Continue = None,
) -> Response:
    """Return the state of resources at a time, by id, line by line."""
    del at, by, after
    views.require_about(resource=resource)
    return await _passed_on(request, use, views)


async def _passed_on(request: Request, use: Use, views: Views) -> Response:
    """Return the audit service's response to the same path and query, for what may be read."""
    query = {**request.query_params, **audit_scope.write(views.scope, views.reader.name)}
    try:
        found = await use.audit.get(request.url.path, query)
    except AuditUnavailable as error:
        raise _unavailable(error) from error
    if found.lines is not None:
        media_type = PLAIN_TEXT if takes_only_text(request) else NDJSON
        return _LinesResponse(found.lines, found.close, media_type=media_type)
    if found.status >= HTTPStatus.BAD_REQUEST and found.content_type != MEDIA_TYPE:
        raise ProblemError(
            HTTPStatus.BAD_GATEWAY,
            "audit_failed",
            f"the audit service answered {found.status} without a reason",
            fix="read the log of the audit service",
        )
    return Response(found.body, status_code=found.status, media_type=found.content_type)


class _LinesResponse(StreamingResponse):
    """Passes lines on; a client that leaves, before the first of them too, ends the request."""

    def __init__(
        self, lines: AsyncIterator[bytes], close: Callable[[], None], *, media_type: str
    ) -> None:
        super().__init__(_whole_lines(lines), media_type=media_type)
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._close()


async def _whole_lines(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for part in lines:
            yield part
    except AuditUnavailable as error:
        # The status has been sent, so the problem takes the place of the last line.
        problem = problem_of(_unavailable(error)).model_dump()
        yield orjson.dumps({"problem": problem}) + b"\n"


def _unavailable(error: AuditUnavailable) -> ProblemError:
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "audit_unavailable",
        f"the audit service cannot be reached: {error}",
        fix="try again in a few seconds; `busbar doctor` shows the state of every service",
        headers={"Retry-After": "1"},
    )
