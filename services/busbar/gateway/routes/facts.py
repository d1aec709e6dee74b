"""``/v1/facts``: the facts in the order in which the gateway received them."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query

from busbar.gateway.routes.fact_pages import FactFilters
from busbar.gateway.routes.parameters import ByOperation, ByResource, ByTeam, Limit, Wait
from busbar.gateway.routes.problems import BAD_PARAMETER, FORBIDDEN, problems
from busbar.gateway.routes.reading import ReadFacts
from busbar.messages.catalogue import FACTS
from busbar.messages.http import FactPage
from busbar.messages.selection import type_matches
from busbar.runtime.http.problems import ProblemError

router = APIRouter(prefix="/v1/facts", tags=["facts"])


@router.get("", response_model=FactPage, responses=problems(_400=BAD_PARAMETER, _403=FORBIDDEN))
async def list_facts(
    facts: ReadFacts,
    *,
    after: Annotated[
        str,
        Query(
            description="The `next` of an earlier page; `0` for all facts, `now` for future ones."
        ),
    ] = "0",
    resource: ByResource = None,
    operation: ByOperation = None,
    team: ByTeam = None,
    types: Annotated[
        list[str] | None,
        Query(
            alias="type",
            description="Only facts of this type; repeatable. A `*` stands for any characters.",
        ),
    ] = None,
    limit: Limit = 100,
    wait: Wait = 0,
) -> dict[str, Any]:
    """List facts after a cursor; with `wait`, wait for the next ones."""
    cursor = await facts.cursor(after)
    if cursor is None:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            "bad_cursor",
            "`after` is not a cursor",
            fix="give the `next` of an earlier page, 0 or now",
        )
    filters = FactFilters(
        resource=resource, operation=operation, team=team, types=_selected(types or ())
    )
    return await facts.page(after=cursor, filters=filters, limit=limit, wait=wait)


def _selected(patterns: Sequence[str]) -> frozenset[str]:
    """Return the types of facts that match one of ``patterns``.

    Raises:
        ProblemError: a pattern matches none, so that nothing would ever be listed.
    """
    found: set[str] = set()
    for pattern in patterns:
        types = {fact.TYPE for fact in FACTS if type_matches(pattern, fact.TYPE)}
        if not types:
            raise ProblemError(
                HTTPStatus.BAD_REQUEST,
                "unknown_type",
                f"{pattern!r} does not match the type of any fact",
                fix="use a type that `busbar schema list` shows, or a pattern such as "
                "busbar.resource.*",
            )
        found |= types
    return frozenset(found)
