"""Who is asking: a bearer token, from the environment or a 0600 file; deny by default."""

import hmac
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path

from fastapi import Request
from pydantic import SecretStr

from busbar.gateway.problems import ProblemError
from busbar.runtime.cipher import private_file

PRINCIPAL = "local"
_TOKEN_BYTES = 32


def load_token(home: Path, token: SecretStr | None) -> SecretStr:
    """The gateway's token; made in ``<home>/token`` on first use.

    Raises:
        ConfigurationError: the file can be read by others.
    """
    if token is not None:
        return token
    return SecretStr(private_file(home / "token", secrets.token_bytes(_TOKEN_BYTES)))


def authenticator(token: SecretStr) -> Callable[[Request], Awaitable[str]]:
    """A dependency that gives the principal, or refuses."""
    expected = token.get_secret_value().encode()

    async def authenticate(request: Request) -> str:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), expected):
            return PRINCIPAL
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED,
            "unauthenticated",
            "this needs a bearer token, and the one given is missing or wrong",
            fix="send 'Authorization: Bearer <token>'; the token is in <home>/token",
            headers={"WWW-Authenticate": "Bearer"},
        )

    return authenticate
