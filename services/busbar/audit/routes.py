"""Audit's read-only HTTP API, which the gateway passes on.

Records come in pages. Everything that may take long comes as lines of JSON (NDJSON), as it is
found: ``progress`` now and then, each ``item``, and ``end`` as the last line of a whole answer.
"""

from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel

from busbar.audit.domain import By
from busbar.audit.handlers import BusLog, check, explanation, states
from busbar.audit.handlers.history import Explained
from busbar.audit.handlers.reading import count, page, written
from busbar.kernel.clock import format_time, parse_time
from busbar.kernel.errors import BusbarError
from busbar.messages import audit_scope
from busbar.messages.http import NDJSON, Progress
from busbar.messages.read_scope import ReadScope
from busbar.runtime.core.bus import BusUnavailable
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.core.cursors import Cursors, PlainCursors, SealedCursors
from busbar.runtime.http.numbers import WHOLE
from busbar.runtime.http.problems import ProblemError, install, problem_of
from busbar.runtime.http.strict import refuse_ignored
from busbar.runtime.store import Store, StoreUnavailable

router = APIRouter(prefix="/v1/audit", dependencies=[Depends(refuse_ignored)])


def create_app(store: Store, log: BusLog, cipher: Cipher) -> FastAPI:
    """Return the application over the copy in ``store`` and the bus behind ``log``.

    Cursors that must not be positions are encrypted with ``cipher``.
    """
    app = FastAPI(title="busbar audit", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.store, app.state.log, app.state.cipher = store, log, cipher
    install(app)
    app.include_router(router)
    return app


async def _store(request: Request) -> Store:
    found: Store = request.app.state.store
    return found


async def _log(request: Request) -> BusLog:
    found: BusLog = request.app.state.log
    return found


@dataclass(frozen=True, slots=True)
class Reader:
    """The principal that reads: its scope, and the form of its cursors."""

    scope: ReadScope
    cursors: Cursors

    def position(self, cursor: str) -> int:
        """Return the position in ``cursor``.

        Raises:
            ProblemError: there is none, or it is not one of this reader (400).
        """
        found = self.cursors.read(cursor)
        if found is None:
            raise ProblemError(
                HTTPStatus.BAD_REQUEST,
                "bad_cursor",
                "`after` is not a cursor",
                fix="give the cursor of an earlier answer, or leave it out for the beginning",
            )
        return found


async def _reader(
    request: Request,
    teams: Annotated[str, Query()] = "",
    platform: Annotated[str, Query()] = "",
    reader: Annotated[str, Query()] = "",
) -> Reader:
    """Return what the gateway says may be read; nothing is answered without it."""
    del teams, platform, reader  # declared here, so that they are known
    found = audit_scope.read(request.query_params)
    if found is None:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            "bad_request",
            "the request does not say what may be read",
            fix="ask the gateway, which passes on what its principals may read",
        )
    scope, name = found
    plain = scope.everything
    return Reader(scope, PlainCursors() if plain else SealedCursors(name, request.app.state.cipher))


Copy = Annotated[Store, Depends(_store)]
Bus = Annotated[BusLog, Depends(_log)]
For = Annotated[Reader, Depends(_reader)]
Limit = Annotated[int, Query(ge=1, le=1000), WHOLE]


@router.get("/records")
async def list_records(
    store: Copy,
    reader: For,
    *,
    after: str = "0",
    limit: Limit = 500,
    resource: str | None = None,
    operation: str | None = None,
) -> Response:
    """List records in order of arrival; a page ends earlier if it becomes large."""
    begin, scope = reader.position(after), reader.scope
    found = await page(
        store, scope=scope, after=begin, limit=limit, resource=resource, operation=operation
    )
    total = None
    if not begin:
        total = await count(store, scope=scope, resource=resource, operation=operation)
    last = reader.cursors.write(found[-1].position) if found else None
    ends = {"next": last, "total": total}
    items = b",".join(written(event, reader.cursors) for event in found)
    body = b'{"items":[' + items + b"]," + orjson.dumps(ends)[1:]
    return Response(body, media_type="application/json")


@router.get("/completeness")
async def get_completeness(store: Copy, log: Bus, reader: For) -> Response:
    """Compare the copy with the bus and with the heads of relays."""
    if not reader.scope.platform:
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            "forbidden",
            "the whole log belongs to no team",
            fix="ask as a principal that may read what belongs to no team",
        )

    async def lines() -> AsyncIterator[bytes]:
        async for found in check(store, log):
            if isinstance(found, Progress):
                yield _line({"progress": found})
            else:
                yield _line({"end": {"complete": found.complete, **asdict(found)}})

    return await _streamed(lines())


@router.get("/explain")
async def get_explanation(
    store: Copy,
    reader: For,
    *,
    resource: str | None = None,
    operation: str | None = None,
    after: str = "0",
    last: Annotated[int | None, Query(ge=1, le=1000), WHOLE] = None,
) -> Response:
    """Explain the history of one resource or operation in sentences."""
    begin = reader.position(after)
    if (resource is None) == (operation is None):
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            "bad_request",
            "give either a resource or an operation",
            fix="as in ?resource=team/environment/promise/name",
        )

    async def lines() -> AsyncIterator[bytes]:
        found = explanation(
            store,
            scope=reader.scope,
            resource=resource,
            operation=operation,
            after=begin,
            last=last,
        )
        async for item in found:
            if isinstance(item, Explained):
                cursor = None if item.position is None else str(reader.cursors.write(item.position))
                yield _line({"item": asdict(item.sentence), "cursor": cursor})
            elif item.total:
                yield _line({"progress": item})
            else:
                raise ProblemError(
                    HTTPStatus.NOT_FOUND,
                    "not_found",
                    f"the log has nothing about {resource or operation}",
                    fix="check the id; the log about another team, or about no team, is not shown",
                )
        yield _line({"end": {}})

    return await _streamed(lines())


@router.get("/state")
async def get_state(
    store: Copy,
    reader: For,
    *,
    at: str | None = None,
    resource: str | None = None,
    by: By = "recorded",
    after: str = "",
) -> Response:
    """Return the state of resources at a time, by id, from the one after ``after``."""
    try:
        time = format_time(parse_time(at)) if at is not None else None
    except (ValueError, OverflowError) as error:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            "bad_request",
            "`at` is not a valid time",
            fix="write it like 2026-01-31T12:00:00Z",
        ) from error

    async def lines() -> AsyncIterator[bytes]:
        scope = reader.scope
        async for found in states(
            store, scope=scope, at=time, by=by, resource=resource, after=after
        ):
            if isinstance(found, Progress):
                yield _line({"progress": found})
            else:
                yield _line({"item": found.view, "cursor": found.cursor})
        yield _line({"end": {}})

    return await _streamed(lines())


def _line(content: dict[str, Any]) -> bytes:
    return orjson.dumps(content, default=_plain) + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no form in JSON")


async def _streamed(lines: AsyncIterator[bytes]) -> Response:
    """Answer with ``lines``; an error before the first one becomes a problem."""
    try:
        first = await anext(lines)
    except (BusUnavailable, StoreUnavailable) as error:
        raise _unavailable(error) from error

    async def body() -> AsyncIterator[bytes]:
        yield first
        try:
            async for line in lines:
                yield line
        except (BusUnavailable, StoreUnavailable) as error:
            # The status has been sent, so the problem takes the place of the last line.
            yield _line({"problem": problem_of(_unavailable(error))})

    return StreamingResponse(body(), media_type=NDJSON)


def _unavailable(error: BusbarError) -> ProblemError:
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "unavailable",
        f"audit cannot read on: {error}",
        fix="try again in a few seconds; `busbar doctor` shows the state of every service",
        headers={"Retry-After": "1"},
    )
