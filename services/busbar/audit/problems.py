"""Errors over HTTP: RFC 9457 problems, spelled as the gateway spells its own."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


def problem(
    status: HTTPStatus,
    code: str,
    detail: str,
    *,
    fix: str,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The answer: ``code`` for programs, ``detail`` and ``fix`` for people."""
    body: dict[str, Any] = {
        "type": f"urn:busbar:problem:{code}",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "code": code,
        "fix": fix,
    }
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def install(app: FastAPI) -> None:
    """Have ``app`` answer every error with a problem, those of the framework included."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _failed)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    details = error.errors() if isinstance(error, RequestValidationError) else []
    places = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in details)
    return problem(HTTPStatus.BAD_REQUEST, "bad_request", places, fix="mend what is named")


async def _refused(request: Request, error: Exception) -> JSONResponse:
    """What the framework refuses by itself: no such path, no such method."""
    if not isinstance(error, HTTPException):
        return await _failed(request, error)
    status, where = HTTPStatus(error.status_code), f"{request.method} {request.url.path}"
    code = "not_found" if status == HTTPStatus.NOT_FOUND else "bad_request"
    return problem(
        status,
        code,
        f"audit does not answer {where}",
        fix="GET /v1/audit/records, /completeness, /explain or /state",
        headers=error.headers,
    )


async def _failed(_request: Request, _error: Exception) -> JSONResponse:
    """Say nothing of what went wrong: the log has it, and strangers read answers."""
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal",
        "audit failed to answer; the reason is in its log",
        fix="try again",
    )
