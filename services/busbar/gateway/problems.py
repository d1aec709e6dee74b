"""Errors over HTTP: RFC 9457 problems, with what to do next."""

from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:busbar:problem:"


class ProblemError(Exception):
    """Answers a request with a problem. ``code`` is stable; ``fix`` says what to do."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        *,
        fix: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Say what is wrong and what to do."""
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.fix = fix
        self.headers = headers


def problem(status: HTTPStatus, code: str, detail: str, *, fix: str, **more: Any) -> dict[str, Any]:
    """The body of a problem."""
    return {
        "type": TYPE + code,
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "code": code,
        "fix": fix,
        **more,
    }


async def answer(_request: Request, error: Exception) -> JSONResponse:
    """Turn a :class:`ProblemError` into its answer."""
    if not isinstance(error, ProblemError):
        raise error
    body = problem(error.status, error.code, error.detail, fix=error.fix)
    return JSONResponse(
        body, status_code=error.status, media_type=MEDIA_TYPE, headers=error.headers
    )
