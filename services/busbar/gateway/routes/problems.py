"""Errors of the API: how OpenAPI documents them, and the one for a missing item."""

from http import HTTPStatus
from typing import Any, Final, TypeVar

from busbar.runtime.http.problems import MEDIA_TYPE, ProblemError

REF: Final = "#/components/schemas/{model}"
BAD_PARAMETER: Final = "A parameter is invalid."
FORBIDDEN: Final = "A filter names what belongs to a team that the principal may not read."
T = TypeVar("T")


def problems(**by_status: str) -> dict[int | str, dict[str, Any]]:
    """Document the errors of an endpoint, as in ``_404="Not found."``; any other is a problem."""
    known = {
        "401": "The bearer token is missing, or refused.",
        "503": "The database is unreachable; try again in a few seconds.",
        "507": "The disk of the database is full; try again once there is space.",
        **{status.removeprefix("_"): text for status, text in by_status.items()},
        "default": "Another error.",
    }
    content = {MEDIA_TYPE: {"schema": {"$ref": REF.format(model="Problem")}}}
    return {
        status: {"description": text, "content": content} for status, text in sorted(known.items())
    }


def require_found(value: T | None, name: str, *, listed_by: str) -> T:
    """Return ``value`` unless it is None.

    Raises:
        ProblemError: ``value`` is None; ``name`` says what was not found, ``listed_by`` which
            command lists what there is.
    """
    if value is None:
        fix = f"check the name; `{listed_by}` lists them"
        raise ProblemError(HTTPStatus.NOT_FOUND, "not_found", f"there is no {name}", fix=fix)
    return value
