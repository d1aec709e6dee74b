"""Audit's read-only HTTP. The gateway passes it on; nothing here changes anything."""

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query
from fastapi.responses import JSONResponse

from busbar.audit.domain import explain, states
from busbar.audit.handlers import RECORDS, completeness, record_of, records
from busbar.audit.ports import Log
from busbar.kernel.clock import format_time, parse_time
from busbar.runtime.http.problems import ProblemError, install
from busbar.runtime.store import Store

After = Annotated[int, Query(ge=0, lt=2**63)]
Limit = Annotated[int, Query(ge=1, le=1000)]


def routes(store: Store, log: Log) -> FastAPI:
    """The application."""
    app = FastAPI(title="busbar audit", docs_url=None, redoc_url=None, openapi_url=None)
    install(app)
    _copy(app, store, log)
    _conclusions(app, store)
    return app


def _copy(app: FastAPI, store: Store, log: Log) -> None:
    @app.get("/v1/audit/records")
    async def _records(
        after: After = 0,
        limit: Limit = 500,
        resource: str | None = None,
        operation: str | None = None,
    ) -> dict[str, Any]:
        page = await store.events(
            after=after, limit=limit, key=resource, correlation=operation, category=RECORDS
        )
        items = [asdict(record_of(event)) for event in page]
        return {"items": items, "next": items[-1]["cursor"] if len(items) == limit else None}

    @app.get("/v1/audit/completeness")
    async def _completeness() -> dict[str, Any]:
        report = await completeness(store, log)
        return {"complete": report.complete, **asdict(report)}


def _conclusions(app: FastAPI, store: Store) -> None:
    @app.get("/v1/audit/explain")
    async def _explain(resource: str | None = None, operation: str | None = None) -> JSONResponse:
        if (resource is None) == (operation is None):
            raise ProblemError(
                HTTPStatus.BAD_REQUEST,
                "bad_request",
                "give either a resource or an operation",
                fix="as in ?resource=team/environment/promise/name",
            )
        found = [r async for r in records(store, resource=resource, operation=operation)]
        if not found:
            raise ProblemError(
                HTTPStatus.NOT_FOUND,
                "not_found",
                f"the log has nothing about {resource or operation}",
                fix="check the name",
            )
        return JSONResponse({"sentences": [asdict(sentence) for sentence in explain(found)]})

    @app.get("/v1/audit/state")
    async def _state(
        at: str | None = None,
        resource: str | None = None,
        by: Literal["recorded", "event"] = "recorded",
    ) -> JSONResponse:
        try:
            moment = format_time(parse_time(at)) if at is not None else None
        except (ValueError, OverflowError) as error:
            raise ProblemError(
                HTTPStatus.BAD_REQUEST,
                "bad_request",
                "`at` is no moment",
                fix="write it like 2026-01-31T12:00:00Z",
            ) from error
        found = [record async for record in records(store, resource=resource)]
        items = [view.model_dump(mode="json") for view in states(found, at=moment, by=by)]
        return JSONResponse({"items": items})
