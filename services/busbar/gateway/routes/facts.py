"""``/v1/facts``: the facts in the order in which the gateway received them."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query

from busbar.gateway.routes.dependencies import Read
from busbar.gateway.routes.parameters import ByOperation, ByResource, Limit, Wait
from busbar.gateway.routes.problems import BAD_PARAMETER, problems
from busbar.messages.http import FactPage
from busbar.runtime.http.problems import ProblemError

router = APIRouter(prefix="/v1/facts", tags=["facts"])


@router.get("", response_model=FactPage, responses=problems(_400=BAD_PARAMETER))
async def list_facts(
    queries: Read,
    *,
    after: Annotated[
        str,
        Query(
            description="The `next` of an earlier page; `0` for all facts, `now` for future ones."
        ),
    ] = "0",
    resource: ByResource = None,
    operation: ByOperation = None,
    limit: Limit = 100,
    wait: Wait = 0,
) -> dict[str, Any]:
    """List facts after a cursor; with `wait`, wait for the next ones."""
    cursor = await queries.cursor(after)
    if cursor is None:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            "bad_cursor",
            "`after` is not a cursor",
            fix="give the `next` of an earlier page, 0 or now",
        )
    return await queries.facts(
        after=cursor, resource=resource, operation=operation, limit=limit, wait=wait
    )
