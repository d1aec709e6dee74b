"""Query parameters that several endpoints share."""

from typing import Annotated

from fastapi import Query

Limit = Annotated[int, Query(ge=1, le=1000, description="Maximum items per page.")]
Wait = Annotated[
    float, Query(ge=0, le=30, description="Maximum time to wait for a change, in seconds.")
]
After = Annotated[str | None, Query(description="The `next` of the previous page.")]
ByResource = Annotated[
    str | None,
    Query(description="Only items about this resource, `team/environment/promise/name`."),
]
ByOperation = Annotated[str | None, Query(description="Only items about this operation.")]
