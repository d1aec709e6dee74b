"""Query parameters that several endpoints share, and the form in which they return pages."""

from typing import Annotated, Any

import orjson
from fastapi import Path, Query, Response

from busbar.kernel.resource import SLUG
from busbar.runtime.http.numbers import DECIMAL, WHOLE

Limit = Annotated[int, Query(ge=1, le=1000, description="Maximum items per page."), WHOLE]
Wait = Annotated[
    float,
    Query(ge=0, le=30, description="Maximum time to wait for a change, in seconds."),
    DECIMAL,
]
After = Annotated[str | None, Query(description="The `next` of the previous page.")]
ByResource = Annotated[
    str | None,
    Query(description="Only items about this resource, `team/environment/promise/name`."),
]
ByTeam = Annotated[
    str | None, Query(pattern=f"^{SLUG}$", description="Only items about this team.")
]
ByOperation = Annotated[str | None, Query(description="Only items about this operation.")]


def name_part(description: str) -> Any:
    """Return a part of the path that is one of the names in an id."""
    return Path(pattern=f"^{SLUG}$", description=description)


def page_response(page: dict[str, Any]) -> Response:
    """Return ``page`` as it is: its items were validated when they were stored."""
    return Response(orjson.dumps(page), media_type="application/json")
