"""``/v1/operations``: the processing of intents."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from busbar.gateway.routes.dependencies import Read
from busbar.gateway.routes.parameters import After, ByResource, Limit, Wait, page_response
from busbar.gateway.routes.problems import BAD_PARAMETER, problems, require_found
from busbar.messages.http import OperationPage
from busbar.messages.views import OperationStatus, OperationView

router = APIRouter(prefix="/v1/operations", tags=["operations"])


@router.get("", response_model=OperationPage, responses=problems(_400=BAD_PARAMETER))
async def list_operations(
    queries: Read,
    resource: ByResource = None,
    status: Annotated[
        OperationStatus | None, Query(description="Only operations in this status.")
    ] = None,
    after: After = None,
    limit: Limit = 100,
) -> Response:
    """List operations, newest first."""
    return page_response(
        await queries.operations(resource=resource, status=status, after=after, limit=limit)
    )


@router.get(
    "/{operation}",
    response_model=OperationView,
    responses=problems(_400=BAD_PARAMETER, _404="There is no such operation."),
)
async def get_operation(
    operation: Annotated[str, Path(description="The operation's id.")],
    response: Response,
    queries: Read,
    wait: Wait = 0,
) -> Any:
    """Return one operation; with `wait`, as soon as it has ended."""
    found = await queries.operation(operation, wait)
    view = require_found(found, f"operation {operation}", listed_by="busbar get operations")
    response.headers["Cache-Control"] = "no-store"
    return view
