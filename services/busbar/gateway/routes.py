"""The gateway's HTTP."""

import base64
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import SecretStr

from busbar.gateway.auth import authenticator
from busbar.gateway.domain import Refused
from busbar.gateway.handlers import take
from busbar.gateway.ports import AuditReader, AuditUnavailable
from busbar.gateway.problems import MEDIA_TYPE, ProblemError, answer, problem
from busbar.gateway.reading import Reader
from busbar.kernel.errors import ConfigurationError
from busbar.messages.codec import http as codec
from busbar.messages.codec.kafka import MAX_BYTES
from busbar.messages.envelope import Envelope, Unreadable
from busbar.runtime.cipher import Cipher
from busbar.runtime.dead_letters import unpack
from busbar.runtime.store import Store

Limit = Annotated[int, Query(ge=1, le=1000)]
Wait = Annotated[float, Query(ge=0, le=30, description="Seconds to wait for news.")]
Slug = Annotated[str, Path(pattern=r"^[a-z0-9-]+$")]
LOOK_UP = "check the name, or list what is there"


def routes(
    store: Store, audit: AuditReader, *, token: SecretStr, cipher: Cipher, version: str
) -> FastAPI:
    """The application."""
    app = FastAPI(title="busbar", version=version, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(ProblemError, answer)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPStatus.NOT_FOUND.value, _no_route)
    app.add_exception_handler(HTTPStatus.METHOD_NOT_ALLOWED.value, _no_method)
    authenticate = authenticator(token)
    reader = Reader(store)
    secured = APIRouter(prefix="/v1", dependencies=[Depends(authenticate)])
    _intake(secured, store, authenticate)
    _views(secured, reader)
    _letters(secured, reader, cipher)
    _audit(secured, audit)
    secured.get("/openapi.json")(app.openapi)
    app.include_router(secured)
    return app


def _intake(router: APIRouter, store: Store, authenticate: Any) -> None:
    @router.post("/events", status_code=HTTPStatus.ACCEPTED)
    async def post_event(
        request: Request, principal: Annotated[str, Depends(authenticate)]
    ) -> JSONResponse:
        """Publish one CloudEvent (structured or binary) as an intent."""
        envelope = await _envelope(request)
        taken = await take(
            store,
            envelope,
            principal=principal,
            traceparent=request.headers.get("traceparent"),
        )
        if isinstance(taken, Refused):
            known = {"conflict": HTTPStatus.CONFLICT}
            status = known.get(taken.code, HTTPStatus.UNPROCESSABLE_ENTITY)
            raise ProblemError(status, taken.code, taken.detail, fix=taken.fix)
        place = f"/v1/operations/{taken.operation}"
        headers = {"Location": place, "Operation-Location": place}
        if taken.again:
            headers["Idempotent-Replayed"] = "true"
        body = {"operation": taken.operation, "resource": taken.resource, "status": "received"}
        return JSONResponse(body, status_code=HTTPStatus.ACCEPTED, headers=headers)


async def _envelope(request: Request) -> Envelope:
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > MAX_BYTES:
        raise _too_large()
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise _too_large()
    try:
        return codec.read(request.headers.items(), bytes(body))
    except Unreadable as error:
        if error.code == "too_large":
            raise _too_large() from error
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            error.code,
            error.detail,
            fix="send one CloudEvent 1.0 in JSON, structured or binary",
        ) from error


def _too_large() -> ProblemError:
    return ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too_large",
        f"an event has at most {MAX_BYTES} bytes",
        fix="put large content somewhere else and refer to it",
    )


def _views(router: APIRouter, reader: Reader) -> None:
    @router.get("/operations")
    async def list_operations(
        resource: str | None = None,
        status: str | None = None,
        after: str | None = None,
        limit: Limit = 100,
    ) -> dict[str, Any]:
        """Operations, newest first."""
        return await reader.operations(resource=resource, status=status, after=after, limit=limit)

    @router.get("/operations/{operation}")
    async def get_operation(operation: str, response: Response, wait: Wait = 0) -> Any:
        """One operation; with `wait`, as soon as it has ended."""
        view = _found(await reader.operation(operation, wait), f"operation {operation}")
        response.headers["Cache-Control"] = "no-store"
        return view

    @router.get("/resources")
    async def list_resources(
        prefix: str | None = None, after: str | None = None, limit: Limit = 100
    ) -> dict[str, Any]:
        """Resources by name."""
        return await reader.resources(prefix=prefix, after=after, limit=limit)

    @router.get("/resources/{team}/{environment}/{promise}/{name}")
    async def get_resource(team: Slug, environment: Slug, promise: Slug, name: Slug) -> Any:
        """One resource."""
        id_ = f"{team}/{environment}/{promise}/{name}"
        return _found(await reader.resource(id_), f"resource {id_}")

    @router.get("/facts")
    async def list_facts(
        after: str = "0",
        resource: str | None = None,
        operation: str | None = None,
        limit: Limit = 100,
        wait: Wait = 0,
    ) -> dict[str, Any]:
        """Facts from a cursor on (`0`: all, `now`: those to come); with `wait`, the next ones."""
        cursor = await reader.cursor(after)
        if cursor is None:
            raise ProblemError(
                HTTPStatus.BAD_REQUEST,
                "bad_cursor",
                "`after` is no cursor",
                fix="give the `next` of an earlier answer, 0 or now",
            )
        return await reader.facts(
            after=cursor, resource=resource, operation=operation, limit=limit, wait=wait
        )


def _letters(router: APIRouter, reader: Reader, cipher: Cipher) -> None:
    @router.get("/dead-letters")
    async def list_letters(
        service: str | None = None, after: str | None = None, limit: Limit = 100
    ) -> dict[str, Any]:
        """Dead letters, oldest first."""
        return await reader.letters(service=service, after=after, limit=limit)

    @router.get("/dead-letters/{letter}")
    async def get_letter(letter: str) -> dict[str, Any]:
        """One dead letter, opened."""
        known = dict(_found(await reader.letter(letter), f"dead letter {letter}"))
        try:
            sealed = base64.b64decode(known.pop("sealed"))
            record = unpack(cipher.open(sealed, context=letter))
        except ConfigurationError as error:
            raise ProblemError(
                HTTPStatus.CONFLICT, "sealed", error.problem, fix=error.fix
            ) from error
        known["record"] = {
            "key": _text(record.key),
            "headers": [[name, _text(value)] for name, value in record.headers],
            "value": _text(record.value),
        }
        return known


def _text(value: bytes | None) -> str | None:
    """UTF-8 as it is, anything else as base64 behind its name."""
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(value).decode()


def _audit(router: APIRouter, audit: AuditReader) -> None:
    @router.get("/audit/{path:path}")
    async def pass_on(path: str, request: Request) -> Response:
        """What the audit service answers."""
        try:
            found = await audit.get(f"/v1/audit/{path}", dict(request.query_params))
        except AuditUnavailable as error:
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "audit_unavailable",
                f"the audit service cannot be reached: {error}",
                fix="try again in a moment; `busbar doctor` tells how the services are",
                headers={"Retry-After": "1"},
            ) from error
        return Response(found.body, status_code=found.status, media_type=found.content_type)


def _found(value: Any, what: str) -> Any:
    if value is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "not_found", f"there is no {what}", fix=LOOK_UP)
    return value


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    details = error.errors() if isinstance(error, RequestValidationError) else []
    places = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in details)
    body = problem(HTTPStatus.BAD_REQUEST, "bad_request", places, fix="mend the named parameters")
    return JSONResponse(body, status_code=HTTPStatus.BAD_REQUEST, media_type=MEDIA_TYPE)


async def _no_route(request: Request, _error: Exception) -> JSONResponse:
    status = HTTPStatus.NOT_FOUND
    body = problem(status, "not_found", f"there is no {request.url.path}", fix=LOOK_UP)
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE)


async def _no_method(request: Request, _error: Exception) -> JSONResponse:
    status = HTTPStatus.METHOD_NOT_ALLOWED
    detail = f"{request.method} is not possible on {request.url.path}"
    body = problem(status, "method_not_allowed", detail, fix="see /v1/openapi.json")
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE)
