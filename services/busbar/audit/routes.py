"""Audit's read-only HTTP API, which the gateway passes on."""

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Query, Request

from busbar.audit.domain import explain, states
from busbar.audit.handlers import RECORDS, BusLog, completeness, record_of, records
from busbar.kernel.clock import format_time, parse_time
from busbar.messages.http import AuditRecordPage, Completeness, Explanation, ResourceStates
from busbar.runtime.http.problems import ProblemError, install
from busbar.runtime.http.strict import refuse_ignored
from busbar.runtime.store import Store

router = APIRouter(prefix="/v1/audit", dependencies=[Depends(refuse_ignored)])


def create_app(store: Store, log: BusLog) -> FastAPI:
    """Return the application over the copy in ``store`` and the bus behind ``log``."""
    app = FastAPI(title="busbar audit", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.store, app.state.log = store, log
    install(app)
    app.include_router(router)
    return app


async def _store(request: Request) -> Store:
    found: Store = request.app.state.store
    return found


async def _log(request: Request) -> BusLog:
    found: BusLog = request.app.state.log
    return found


Copy = Annotated[Store, Depends(_store)]
Bus = Annotated[BusLog, Depends(_log)]
After = Annotated[int, Query(ge=0, lt=2**63)]
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.get("/records", response_model=AuditRecordPage)
async def list_records(
    store: Copy,
    after: After = 0,
    limit: Limit = 500,
    resource: str | None = None,
    operation: str | None = None,
) -> dict[str, Any]:
    """List records in order of arrival."""
    page = await store.events(
        after=after, limit=limit, key=resource, correlation=operation, category=RECORDS
    )
    items = [asdict(record_of(event)) for event in page]
    return {"items": items, "next": items[-1]["cursor"] if len(items) == limit else None}


@router.get("/completeness", response_model=Completeness)
async def get_completeness(store: Copy, log: Bus) -> dict[str, Any]:
    """Compare the copy with the bus and with the heads of relays."""
    report = await completeness(store, log)
    return {"complete": report.complete, **asdict(report)}


@router.get("/explain", response_model=Explanation)
async def get_explanation(
    store: Copy, resource: str | None = None, operation: str | None = None
) -> dict[str, Any]:
    """Explain the history of one resource or operation in sentences."""
    if (resource is None) == (operation is None):
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            "bad_request",
            "give either a resource or an operation",
            fix="as in ?resource=team/environment/promise/name",
        )
    found = [record async for record in records(store, resource=resource, operation=operation)]
    if not found:
        raise ProblemError(
            HTTPStatus.NOT_FOUND,
            "not_found",
            f"the log has nothing about {resource or operation}",
            fix="check the name",
        )
    return {"sentences": [asdict(sentence) for sentence in explain(found)]}


@router.get("/state", response_model=ResourceStates)
async def get_state(
    store: Copy,
    at: str | None = None,
    resource: str | None = None,
    by: Literal["recorded", "event"] = "recorded",
) -> dict[str, Any]:
    """Return the state of resources at a time."""
    try:
        time = format_time(parse_time(at)) if at is not None else None
    except (ValueError, OverflowError) as error:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            "bad_request",
            "`at` is not a valid time",
            fix="write it like 2026-01-31T12:00:00Z",
        ) from error
    found = [record async for record in records(store, resource=resource)]
    return {"items": states(found, at=time, by=by)}
