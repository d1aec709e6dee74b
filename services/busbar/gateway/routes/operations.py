"""``/v1/operations``: the processing of intents."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from busbar.gateway.routes.parameters import After, ByResource, Limit, Wait, page_response
from busbar.gateway.routes.problems import BAD_PARAMETER, FORBIDDEN, problems, require_found
from busbar.gateway.routes.reading import Read
from busbar.messages.http import OperationPage
from busbar.messages.views import OperationStatus, OperationView

router = APIRouter(prefix="/v1/operations", tags=["operations"])


@router.get(
    "", response_model=OperationPage, responses=problems(_400=BAD_PARAMETER, _403=FORBIDDEN)
)
async def list_operations(
    views: Read,
    resource: ByResource = None,
    status: Annotated[
        OperationStatus | None, Query(description="Only operations in this status.")
    ] = None,
    after: After = None,
    limit: Limit = 100,
) -> Response:
    """List operations, newest first."""
    return page_response(
        await views.operations(resource=resource, status=status, after=after, limit=limit)
    )


@router.get(
    "/{operation}",
    response_model=OperationView,
    responses=problems(_400=BAD_PARAMETER, _404="There is no such operation."),
)
async def get_operation(
    operation: Annotated[str, Path(description="The operation's id.")],
    response: Response,
    views: Read,
    wait: Wait = 0,
) -> Any:
    """Return one operation; with `wait`, as soon as it has ended."""
    found = await views.operation(operation, wait)
    view = require_found(found, f"operation {operation}", listed_by="busbar get operations")
    response.headers["Cache-Control"] = "no-store"
    return view
