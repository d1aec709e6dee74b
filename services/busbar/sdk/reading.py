"""Paged lists, and validation of response bodies."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from busbar.messages.validation import describe
from busbar.sdk.errors import GatewayProblem

Model = TypeVar("Model", bound=BaseModel)
Params = Mapping[str, str | Sequence[str]]
"""Query parameters; a sequence is a parameter that is repeated."""

PAGE = 200
"""Items per page."""

GetPage = Callable[[Params], Awaitable[Any]]
"""Requests one page of a list with these parameters."""


def typed(model: type[Model], body: Any) -> Model:
    """Return ``body`` as ``model``.

    Raises:
        GatewayProblem: the body is something else (``unexpected_answer``).
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise GatewayProblem(
            status=200,
            title="Unexpected answer",
            detail=f"the body is not a valid {model.__name__}: {describe(error)}",
            fix="Use a client of the same release as the gateway.",
            code="unexpected_answer",
        ) from error


def items_of(body: Any) -> list[Any]:
    """Return the items of one page.

    Raises:
        GatewayProblem: it is not a page.
    """
    if isinstance(body, dict) and isinstance(body.get("items"), list):
        return list(body["items"])
    raise GatewayProblem(
        status=200,
        title="Unexpected answer",
        detail="the body is not a page: it has no items",
        fix="Use a client of the same release as the gateway.",
        code="unexpected_answer",
    )


async def pages(
    get: GetPage, model: type[Model], params: Params, *, until_empty: bool = False
) -> AsyncIterator[Model]:
    """Iterate over every item of a finite list, in order.

    The next page is on its way while the items of one are used. An empty page is the end of a list
    that always has a cursor (``until_empty``); other lists have empty pages before their end.
    """
    params = dict(params)
    page: asyncio.Task[Any] | None = asyncio.create_task(_awaited(get(params)))
    try:
        while page is not None:
            body = await page
            items, following = items_of(body), body.get("next")
            # An empty page with the same cursor would be requested endlessly.
            is_last = not items and (until_empty or str(following) == params.get("after"))
            if following is None or is_last:
                page = None
            else:
                params = {**params, "after": str(following)}
                page = asyncio.create_task(_awaited(get(params)))
            for item in items:
                yield typed(model, item)
    finally:
        if page is not None:
            page.cancel()


async def _awaited(found: Awaitable[Any]) -> Any:
    return await found


async def stream(get: GetPage, model: type[Model], params: Params) -> AsyncIterator[Model]:
    """Iterate over the items of an endless list as they come; ``get`` waits for more."""
    params = dict(params)
    while True:
        body = await get(params)
        for item in items_of(body):
            yield typed(model, item)
        if body.get("next") is not None:
            params["after"] = str(body["next"])


def segment(text: str) -> str:
    """Return ``text`` as one segment of a URL's path.

    Raises:
        GatewayProblem: it would lead to another path; it has status 404, and nothing was sent.
    """
    if text in {"", ".", ".."}:
        raise GatewayProblem(
            status=404,
            title="Not found",
            detail=f"{text!r} is not an id",
            fix="Check the id.",
            code="not_found",
        )
    return quote(text, safe="")


def present(**params: object) -> dict[str, str]:
    """Return the query parameters that have a value, as text."""
    return {name: str(value) for name, value in params.items() if value is not None}
