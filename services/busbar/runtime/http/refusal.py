"""HTTP errors as RFC 9457 problems, each with a fix; for applications with or without FastAPI."""

from collections.abc import Mapping
from http import HTTPStatus

from busbar.messages.http import Problem

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:busbar:problem:"


class ProblemError(Exception):
    """An error that becomes a problem response; ``code`` is stable, ``fix`` says what to do."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        *,
        fix: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.fix = fix
        self.headers = headers


def problem_of(error: ProblemError) -> Problem:
    """Return the body of the response to ``error``."""
    return Problem(
        type=TYPE + error.code,
        title=error.status.phrase,
        status=error.status.value,
        detail=error.detail,
        code=error.code,
        fix=error.fix,
    )
