"""Applies the checks of requests to the routes of a FastAPI application."""

from fastapi import Request, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute

from busbar.messages.http import NDJSON
from busbar.runtime.http.checks import (
    ANSWERED,
    accepts,
    by_name,
    check_headers,
    check_query,
    tokens,
)


async def refuse_ignored(request: Request) -> None:
    """Refuse ``request`` if a part of it would be ignored.

    Raises:
        ProblemError: there is such a part; the problem names it.
    """
    route = request.scope.get("route")
    known: dict[str, bool] = {}
    has_body = False
    answers = ANSWERED
    if isinstance(route, APIRoute):
        known = _query_names(route)
        has_body = "POST" in (route.methods or ())
        declared = route.responses.get(200, {}).get("content", {})
        answers = tuple(declared) or ANSWERED
    check_headers(by_name(request.headers.raw), reads_body=has_body, answers=answers)
    check_query(request.scope.get("query_string", b""), known)


def _query_names(route: APIRoute) -> dict[str, bool]:
    """Return the query parameters of ``route``, and whether each is a list: it may be repeated."""
    return {
        field.alias: "list[" in str(field.field_info.annotation)
        for field in get_flat_params(route.dependant)
        if isinstance(field.field_info, params.Query)
    }


def takes_only_text(request: Request) -> bool:
    """Return whether ``request`` takes lines of JSON as plain text only."""
    ranges = tokens({"accept": request.headers.getlist("accept")}, "accept")
    return bool(ranges) and not any(accepts(one, (NDJSON,)) for one in ranges)
