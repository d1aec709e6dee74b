"""``/v1/resources``: the current state of resources."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from busbar.gateway.routes.dependencies import Use
from busbar.gateway.routes.parameters import After, ByTeam, Limit, name_part, page_response
from busbar.gateway.routes.problems import BAD_PARAMETER, FORBIDDEN, problems, require_found
from busbar.gateway.routes.reading import Read
from busbar.messages.http import ResourcePage
from busbar.messages.views import ResourceView

router = APIRouter(prefix="/v1/resources", tags=["resources"])


@router.get("", response_model=ResourcePage, responses=problems(_400=BAD_PARAMETER, _403=FORBIDDEN))
async def list_resources(
    views: Read,
    *,
    team: ByTeam = None,
    prefix: Annotated[
        str | None,
        Query(description="Only resources whose id starts with this, as `team/environment/`."),
    ] = None,
    after: After = None,
    limit: Limit = 100,
) -> Response:
    """List resources by name."""
    return page_response(await views.resources(team=team, prefix=prefix, after=after, limit=limit))


@router.get(
    "/{team}/{environment}/{promise}/{name}",
    response_model=ResourceView,
    responses=problems(
        _400="A part of the id is not a valid name.", _404="There is no such resource."
    ),
)
async def get_resource(
    use: Use,
    views: Read,
    *,
    team: Annotated[str, name_part("The team that owns it.")],
    environment: Annotated[str, name_part("The environment it belongs to.")],
    promise: Annotated[str, name_part("The promise it is made from.")],
    name: Annotated[str, name_part("Its own name.")],
    reveal: Annotated[
        Literal["personal"] | None,
        Query(description="With `personal`, the personal values are in clear, not sealed."),
    ] = None,
) -> Any:
    """Return one resource."""
    id_ = f"{team}/{environment}/{promise}/{name}"
    found = await views.resource(id_)
    view = require_found(found, f"resource {id_}", listed_by="busbar get")
    if reveal is None:
        return view
    parts = {part: view[part] for part in ("spec", "outputs")}
    return {**view, **(await use.personal.open(parts, team)).tree}
