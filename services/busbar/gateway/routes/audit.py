"""``/v1/audit``: responses of the audit service, passed on."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from busbar.gateway.adapters import AuditUnavailable
from busbar.gateway.routes.dependencies import Use
from busbar.gateway.routes.problems import BAD_PARAMETER, problems
from busbar.runtime.http.problems import MEDIA_TYPE, ProblemError

router = APIRouter(prefix="/v1/audit", tags=["audit"])


@router.get(
    "/{path:path}",
    response_class=Response,
    responses={
        200: {
            "description": "The response of the audit service.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        **problems(
            _400=BAD_PARAMETER,
            _404="The log has nothing about it.",
            _502="The audit service failed.",
            _503="The audit service cannot be reached.",
        ),
    },
)
async def get_audit(
    path: Annotated[
        str,
        Path(
            description="`records`, `completeness`, `explain` or `state`; the query is passed on."
        ),
    ],
    request: Request,
    use: Use,
) -> Response:
    """Return the response of the audit service."""
    try:
        found = await use.audit.get(f"/v1/audit/{path}", dict(request.query_params))
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
