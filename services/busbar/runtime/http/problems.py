"""Answers the errors of a FastAPI application with RFC 9457 problems, each with a fix."""

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from busbar.messages.validation import from_details, sentence
from busbar.runtime.core.unavailable import Unavailable
from busbar.runtime.http.refusal import MEDIA_TYPE, ProblemError, problem_of

RETRY_AFTER_SECONDS = 2
LOOK_UP = "check the name, or list the collection"


def install(app: FastAPI) -> None:
    """Make ``app`` answer every error with a problem, including those of the framework."""
    app.add_exception_handler(ProblemError, _answer)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _failed)


def _response(error: ProblemError) -> JSONResponse:
    return JSONResponse(
        problem_of(error).model_dump(),
        status_code=error.status,
        media_type=MEDIA_TYPE,
        headers=error.headers,
    )


async def _answer(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ProblemError):
        return await _failed(request, error)
    return _response(error)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    details = error.errors() if isinstance(error, RequestValidationError) else []
    wrong = sentence(from_details(details))
    return _response(
        ProblemError(HTTPStatus.BAD_REQUEST, "bad_request", wrong, fix="correct the named fields")
    )


async def _refused(request: Request, error: Exception) -> JSONResponse:
    """Answer an error of the framework, such as an unknown path or method."""
    if not isinstance(error, HTTPException):
        return await _failed(request, error)
    status, path = HTTPStatus(error.status_code), request.url.path
    known = {
        HTTPStatus.NOT_FOUND: (
            "not_found",
            f"there is no {path}",
            "GET /v1/openapi.json describes every path; docs/how-to/use-http.md has examples",
        ),
        HTTPStatus.METHOD_NOT_ALLOWED: (
            "method_not_allowed",
            f"{request.method} is not allowed on {path}",
            "use a method that the Allow header lists; /v1/openapi.json describes all of them",
        ),
    }
    otherwise = (
        "bad_request",
        str(error.detail),
        "see /v1/openapi.json for the supported requests",
    )
    code, detail, fix = known.get(status, otherwise)
    return _response(ProblemError(status, code, detail, fix=fix, headers=error.headers))


async def _unavailable(request: Request, error: Exception) -> JSONResponse:
    """Answer while the database is unreachable: the client can send the same request again."""
    if not isinstance(error, Unavailable):
        return await _failed(request, error)
    full = error.is_full
    return _response(
        ProblemError(
            HTTPStatus.INSUFFICIENT_STORAGE if full else HTTPStatus.SERVICE_UNAVAILABLE,
            "storage_full" if full else "unavailable",
            str(error),
            fix=("free space on the disk of the database; " if full else "")
            + "try again in a few seconds; the same event sent again is the same intent",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    )


async def _gone(_request: Request, _error: Exception) -> JSONResponse:
    """Answer a client that has left: only the metrics see it, and the log has no error."""
    return _response(
        ProblemError(
            HTTPStatus.BAD_REQUEST,
            "incomplete_body",
            "the connection ended before the body",
            fix="send the whole request; the same event sent again is the same intent",
        )
    )


async def _failed(_request: Request, _error: Exception) -> JSONResponse:
    """Answer without the cause, which is only logged: responses may reach anyone."""
    return _response(
        ProblemError(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "internal",
            "the service failed to answer; the reason is in its log",
            fix="try again; the same event sent again is the same intent",
        )
    )


__all__ = ["LOOK_UP", "MEDIA_TYPE", "ProblemError", "install", "problem_of"]
