"""``/v1/promises``: what can be requested, as policy has loaded it."""

import json
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path

from busbar.gateway.adapters import AuditUnavailable
from busbar.gateway.routes.dependencies import Dependencies, Use
from busbar.gateway.routes.problems import problems, require_found
from busbar.messages.http import PromiseList, PromiseView
from busbar.runtime.http.problems import ProblemError

router = APIRouter(prefix="/v1/promises", tags=["promises"])

_FAILURES = {"_502": "Policy failed.", "_503": "Policy cannot be reached."}


@router.get("", response_model=PromiseList, responses=problems(**_FAILURES))
async def list_promises(use: Use) -> Any:
    """List the promises by name, those that cannot be offered included."""
    return await _policy(use, "/v1/promises")


@router.get(
    "/{name}",
    response_model=PromiseView,
    responses=problems(_404="There is no such promise.", **_FAILURES),
)
async def get_promise(
    name: Annotated[str, Path(description="The promise's name.")], use: Use
) -> Any:
    """Return one promise: what can be requested in each version, and its plan."""
    found = await _policy(use, f"/v1/promises/{quote(name, safe='')}")
    return require_found(found, f"promise {name}", listed_by="busbar get promises")


async def _policy(use: Dependencies, path: str) -> Any:
    """Return what policy answers, or None if it has nothing there."""
    try:
        found = await use.policy.get(path, {})
    except AuditUnavailable as error:
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "policy_unavailable",
            f"policy cannot be reached: {error}",
            fix="try again in a few seconds; `busbar doctor` shows the state of every service",
            headers={"Retry-After": "1"},
        ) from error
    if found.status == HTTPStatus.NOT_FOUND:
        return None
    if found.status != HTTPStatus.OK:
        raise ProblemError(
            HTTPStatus.BAD_GATEWAY,
            "policy_failed",
            f"policy answered {found.status}",
            fix="read the log of policy",
        )
    return json.loads(found.body)
