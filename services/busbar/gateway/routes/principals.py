"""``/v1/principals``: people, service accounts, bots and services, with their public keys."""

from typing import Annotated, Any

from fastapi import APIRouter

from busbar.gateway.routes.parameters import After, Limit, name_part
from busbar.gateway.routes.problems import BAD_PARAMETER, problems, require_found
from busbar.gateway.routes.reading import Read
from busbar.messages.http import PrincipalPage
from busbar.messages.principals import PrincipalView

router = APIRouter(prefix="/v1/principals", tags=["principals"])


@router.get("", response_model=PrincipalPage, responses=problems(_400=BAD_PARAMETER))
async def list_principals(views: Read, after: After = None, limit: Limit = 100) -> dict[str, Any]:
    """List principals by name, those that were removed included."""
    return await views.principals(after=after, limit=limit)


@router.get(
    "/{principal}",
    response_model=PrincipalView,
    responses=problems(_400="It is not a valid name.", _404="There is no such principal."),
)
async def get_principal(
    principal: Annotated[str, name_part("The principal's name.")], views: Read
) -> Any:
    """Return one principal."""
    found = await views.principal(principal)
    return require_found(found, f"principal {principal}", listed_by="busbar principals")
