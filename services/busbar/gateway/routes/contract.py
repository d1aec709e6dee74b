"""``/v1/openapi.json``: the description of the API."""

from typing import Any

from fastapi import APIRouter, Request

from busbar.gateway.routes.problems import problems

router = APIRouter(prefix="/v1", tags=["contract"])


@router.get("/openapi.json", responses=problems())
async def get_openapi(request: Request) -> dict[str, Any]:
    """Return this description of the API."""
    document: dict[str, Any] = request.app.openapi()
    return document
