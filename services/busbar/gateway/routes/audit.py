"""``/v1/audit``: responses of the audit service, passed on."""

from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from busbar.gateway.adapters import AuditUnavailable
from busbar.gateway.routes.dependencies import Use
from busbar.gateway.routes.parameters import After, ByOperation, ByResource, Limit
from busbar.gateway.routes.problems import BAD_PARAMETER, problems
from busbar.messages.http import AuditRecordPage, Completeness, Explanation, ResourceStates
from busbar.runtime.http.problems import MEDIA_TYPE, ProblemError

router = APIRouter(prefix="/v1/audit", tags=["audit"])


def _described(model: type[BaseModel], **more: str) -> dict[str, Any]:
    """Describe an endpoint whose answer is one of the audit service, with this ``model``."""
    return {
        "response_model": None,
        "responses": {
            200: {"model": model, "description": "The response of the audit service."},
            **problems(
                _400=BAD_PARAMETER,
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
    *,
    after: After = None,
    limit: Limit = 500,
    resource: ByResource = None,
    operation: ByOperation = None,
) -> Response:
    """List audit records in order of arrival."""
    del after, limit, resource, operation
    return await _passed_on(request, use)


@router.get("/completeness", **_described(Completeness))
async def get_completeness(request: Request, use: Use) -> Response:
    """Compare the audit log with everything that was published."""
    return await _passed_on(request, use)


@router.get("/explain", **_described(Explanation, _404="The log has nothing about it."))
async def get_explanation(
    request: Request, use: Use, *, resource: ByResource = None, operation: ByOperation = None
) -> Response:
    """Explain the history of one resource or one operation in sentences."""
    del resource, operation
    return await _passed_on(request, use)


@router.get("/state", **_described(ResourceStates))
async def get_state(
    request: Request,
    use: Use,
    *,
    at: Annotated[
        str | None, Query(description="A time, as `2026-01-31T12:00:00Z`; now if omitted.")
    ] = None,
    resource: ByResource = None,
    by: Annotated[
        Literal["recorded", "event"],
        Query(description="Which time counts: that of the record, or that of the event."),
    ] = "recorded",
) -> Response:
    """Return the state of resources at a time."""
    del at, resource, by
    return await _passed_on(request, use)


async def _passed_on(request: Request, use: Use) -> Response:
    """Return the audit service's response to the same path and query."""
    try:
        found = await use.audit.get(request.url.path, dict(request.query_params))
    except AuditUnavailable as error:
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "audit_unavailable",
            f"the audit service cannot be reached: {error}",
            fix="try again in a few seconds; `busbar doctor` shows the state of every service",
            headers={"Retry-After": "1"},
        ) from error
    if found.status >= HTTPStatus.BAD_REQUEST and found.content_type != MEDIA_TYPE:
        raise ProblemError(
            HTTPStatus.BAD_GATEWAY,
            "audit_failed",
            f"the audit service answered {found.status} without a reason",
            fix="read the log of the audit service",
        )
    return Response(found.body, status_code=found.status, media_type=found.content_type)
