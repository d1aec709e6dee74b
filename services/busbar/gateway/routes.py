"""The gateway's HTTP."""

import base64
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import SecretStr

from busbar.gateway.answers import (
    Accepted,
    DeadLetterPage,
    DecryptedDeadLetter,
    FactPage,
    OperationPage,
    ResourcePage,
)
from busbar.gateway.auth import authenticator
from busbar.gateway.described import DocumentedApp, accepted_headers, event_request, problems
from busbar.gateway.domain import Refused
from busbar.gateway.handlers import take
from busbar.gateway.intake import read_event
from busbar.gateway.ports import AuditReader, AuditUnavailable
from busbar.gateway.pressure import Limits, Pressure
from busbar.gateway.reading import Reader
from busbar.kernel.errors import ConfigurationError
from busbar.kernel.resource import SLUG
from busbar.messages.views import OperationStatus, OperationView, ResourceView
from busbar.runtime.consume.dead_letters import unpack
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.http.problems import LOOK_UP, MEDIA_TYPE, ProblemError, install
from busbar.runtime.store import Store

RETRY_AFTER = "5"
"""Seconds after which it is worth to ask again while the platform catches up."""

Limit = Annotated[int, Query(ge=1, le=1000, description="How many items a page has at the most.")]
Wait = Annotated[float, Query(ge=0, le=30, description="Seconds to wait for news.")]
After = Annotated[str | None, Query(description="The `next` of the page before.")]
ByResource = Annotated[
    str | None, Query(description="Only those about team/environment/promise/name.")
]
ByOperation = Annotated[str | None, Query(description="Only those about this operation.")]


def _slug(what: str) -> Any:
    return Path(pattern=f"^{SLUG}$", description=what)


def routes(
    store: Store,
    audit: AuditReader,
    *,
    token: SecretStr,
    cipher: Cipher,
    version: str,
    limits: Limits,
) -> DocumentedApp:
    """The application; it lets intents in within ``limits``."""
    app = DocumentedApp(
        title="busbar",
        summary="Publish an intent, get a resource, see what happened.",
        version=version,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    install(app)
    authenticate = authenticator(token)
    reader = Reader(store)
    secured = APIRouter(prefix="/v1", dependencies=[Depends(authenticate)], redirect_slashes=False)
    _intake(secured, store, Pressure(store, limits), authenticate)
    _operations(secured, reader)
    _resources(secured, reader)
    _facts(secured, reader)
    _dead_letters(secured, reader, cipher)
    _audit(secured, audit)

    @secured.get("/openapi.json", tags=["contract"], responses=problems())
    async def get_openapi() -> dict[str, Any]:
        """Describe all of this."""
        return app.openapi()

    app.include_router(secured)
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _intake(router: APIRouter, store: Store, pressure: Pressure, authenticate: Any) -> None:
    @router.post(
        "/events",
        tags=["intents"],
        status_code=HTTPStatus.ACCEPTED,
        response_description="It is stored and will be published; follow its operation.",
        responses={
            202: {"model": Accepted, "headers": accepted_headers()},
            **problems(
                _400="It is no CloudEvent in JSON; the code says what is wrong.",
                _409="An event with this source and id came before, with another body.",
                _413="It is too large.",
                _415="It is a batch, or in another format than JSON.",
                _422="It is an event, but none that can be let in as an intent.",
                _429="Too many intents wait for a decision already; try again.",
            ),
        },
        openapi_extra=event_request(),
    )
    async def post_event(
        request: Request, principal: Annotated[str, Depends(authenticate)]
    ) -> JSONResponse:
        """Publish one CloudEvent (structured or binary) as an intent."""
        envelope = await read_event(request)
        taken = await take(
            store,
            envelope,
            principal=principal,
            traceparent=request.headers.get("traceparent"),
            lag=await pressure.lag(),
        )
        if isinstance(taken, Refused):
            known = {"conflict": HTTPStatus.CONFLICT, "busy": HTTPStatus.TOO_MANY_REQUESTS}
            status = known.get(taken.code, HTTPStatus.UNPROCESSABLE_ENTITY)
            headers = {"Retry-After": RETRY_AFTER} if taken.code == "busy" else None
            raise ProblemError(status, taken.code, taken.detail, fix=taken.fix, headers=headers)
        place = f"/v1/operations/{taken.operation}"
        headers = {"Location": place, "Operation-Location": place}
        if taken.again:
            headers["Idempotent-Replayed"] = "true"
        body = {"operation": taken.operation, "resource": taken.resource, "status": "received"}
        return JSONResponse(body, status_code=HTTPStatus.ACCEPTED, headers=headers)


def _operations(router: APIRouter, reader: Reader) -> None:
    @router.get(
        "/operations",
        tags=["operations"],
        response_model=OperationPage,
        responses=problems(_400="A parameter does not fit."),
    )
    async def list_operations(
        resource: ByResource = None,
        status: Annotated[
            OperationStatus | None, Query(description="Only those in this status.")
        ] = None,
        after: After = None,
        limit: Limit = 100,
    ) -> dict[str, Any]:
        """Operations, newest first."""
        return await reader.operations(resource=resource, status=status, after=after, limit=limit)

    @router.get(
        "/operations/{operation}",
        tags=["operations"],
        response_model=OperationView,
        responses=problems(_400="A parameter does not fit.", _404="There is no such operation."),
    )
    async def get_operation(
        operation: Annotated[str, Path(description="The operation's id.")],
        response: Response,
        wait: Wait = 0,
    ) -> Any:
        """One operation; with `wait`, as soon as it has ended."""
        view = _found(await reader.operation(operation, wait), f"operation {operation}")
        response.headers["Cache-Control"] = "no-store"
        return view


def _resources(router: APIRouter, reader: Reader) -> None:
    @router.get(
        "/resources",
        tags=["resources"],
        response_model=ResourcePage,
        responses=problems(_400="A parameter does not fit."),
    )
    async def list_resources(
        prefix: Annotated[
            str | None, Query(description="Only those whose id starts so, as `team/environment/`.")
        ] = None,
        after: After = None,
        limit: Limit = 100,
    ) -> dict[str, Any]:
        """Resources by name."""
        return await reader.resources(prefix=prefix, after=after, limit=limit)

    @router.get(
        "/resources/{team}/{environment}/{promise}/{name}",
        tags=["resources"],
        response_model=ResourceView,
        responses=problems(_400="A part is no name.", _404="There is no such resource."),
    )
    async def get_resource(
        team: Annotated[str, _slug("Whose it is.")],
        environment: Annotated[str, _slug("Where it is.")],
        promise: Annotated[str, _slug("What it is.")],
        name: Annotated[str, _slug("Which one it is.")],
    ) -> Any:
        """One resource."""
        id_ = f"{team}/{environment}/{promise}/{name}"
        return _found(await reader.resource(id_), f"resource {id_}")


def _facts(router: APIRouter, reader: Reader) -> None:
    @router.get(
        "/facts",
        tags=["facts"],
        response_model=FactPage,
        responses=problems(_400="A parameter does not fit."),
    )
    async def list_facts(
        after: Annotated[
            str,
            Query(description="The `next` of an earlier answer; `0`: all; `now`: those to come."),
        ] = "0",
        resource: ByResource = None,
        operation: ByOperation = None,
        limit: Limit = 100,
        wait: Wait = 0,
    ) -> dict[str, Any]:
        """Facts from a cursor on; with `wait`, the next ones."""
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


def _dead_letters(router: APIRouter, reader: Reader, cipher: Cipher) -> None:
    @router.get(
        "/dead-letters",
        tags=["dead letters"],
        response_model=DeadLetterPage,
        responses=problems(_400="A parameter does not fit."),
    )
    async def list_dead_letters(
        service: Annotated[
            str | None, Query(description="Only those of this service, as `policy`.")
        ] = None,
        after: After = None,
        limit: Limit = 100,
    ) -> dict[str, Any]:
        """Dead letters, oldest first."""
        return await reader.dead_letters(service=service, after=after, limit=limit)

    @router.get(
        "/dead-letters/{dead_letter}",
        tags=["dead letters"],
        response_model=DecryptedDeadLetter,
        responses=problems(
            _404="There is no such dead letter.", _409="It was sealed with another key."
        ),
    )
    async def get_dead_letter(
        dead_letter: Annotated[str, Path(description="The dead letter's id.")],
    ) -> dict[str, Any]:
        """One dead letter, opened."""
        known = dict(_found(await reader.dead_letter(dead_letter), f"dead letter {dead_letter}"))
        known["record"] = _open(dead_letter, known.pop("sealed"), cipher)
        return known


def _open(dead_letter: str, sealed: str, cipher: Cipher) -> dict[str, Any]:
    if not sealed:
        raise ProblemError(
            HTTPStatus.CONFLICT,
            "not_published",
            "the record is too large to be published; only the service that could not handle it"
            " has it",
            fix="redrive the letter, or have its producer send it again, smaller",
        )
    try:
        record = unpack(cipher.decrypt(base64.b64decode(sealed), context=dead_letter))
    except ConfigurationError as error:
        raise ProblemError(HTTPStatus.CONFLICT, "sealed", error.problem, fix=error.fix) from error
    except ValueError as error:
        raise ProblemError(
            HTTPStatus.CONFLICT,
            "sealed",
            "what the dead letter holds is no sealed record",
            fix="see in the audit log who published it",
        ) from error
    return {
        "key": _text(record.key),
        "headers": [[_text(_raw(name)), _text(value)] for name, value in record.headers],
        "value": _text(record.value),
    }


def _raw(name: str) -> bytes:
    """The bytes of a header's name: what was no UTF-8 in them came as surrogates (PEP 383)."""
    return name.encode(errors="surrogateescape")


def _text(value: bytes | None) -> str | None:
    """UTF-8 as it is, anything else as base64 behind its name."""
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(value).decode()


def _audit(router: APIRouter, audit: AuditReader) -> None:
    @router.get(
        "/audit/{path:path}",
        tags=["audit"],
        response_class=Response,
        responses={
            200: {
                "description": "What the audit service answers.",
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            **problems(
                _400="A parameter does not fit.",
                _404="The log has nothing about it.",
                _502="The audit service failed.",
                _503="The audit service cannot be reached.",
            ),
        },
    )
    async def get_audit(
        path: Annotated[
            str,
            Path(
                description="`records`, `completeness`, `explain` or `state`; the query goes along."
            ),
        ],
        request: Request,
    ) -> Response:
        """Pass on what the audit service answers."""
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
        if found.status >= HTTPStatus.BAD_REQUEST and found.content_type != MEDIA_TYPE:
            raise ProblemError(
                HTTPStatus.BAD_GATEWAY,
                "audit_failed",
                f"the audit service answered {found.status} without saying why",
                fix="see its log",
            )
        return Response(found.body, status_code=found.status, media_type=found.content_type)


def _found(value: Any, what: str) -> Any:
    if value is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "not_found", f"there is no {what}", fix=LOOK_UP)
    return value
