"""Who is asking: a bearer token, from the environment or a 0600 file; deny by default."""

import hmac
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.cipher import private_file
from busbar.runtime.http.problems import ProblemError

PRINCIPAL = "local"
_TOKEN_BYTES = 32


def load_token(home: Path, token: SecretStr | None) -> SecretStr:
    """The gateway's token; made in ``<home>/token`` on first use.

    Raises:
        ConfigurationError: the file can be read by others, or the token is empty.
    """
    if token is None:
        token = SecretStr(private_file(home / "token", secrets.token_bytes(_TOKEN_BYTES)))
    if not token.get_secret_value().strip():
        # An empty token would let everybody in who sends an empty one.
        raise ConfigurationError(
            "The gateway's token is empty.",
            fix="Set BUSBAR_TOKEN to a long random text, or unset it to have one made.",
        )
    return token


def authenticator(token: SecretStr) -> Callable[..., Awaitable[str]]:
    """A dependency that gives the principal, or refuses."""
    expected = token.get_secret_value().strip().encode()
    bearer = HTTPBearer(
        scheme_name="bearer", auto_error=False, description="The token in `<home>/token`."
    )

    async def authenticate(
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    ) -> str:
        if given and hmac.compare_digest(given.credentials.strip().encode(), expected):
            return PRINCIPAL
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED,
            "unauthenticated",
            "this needs a bearer token, and the one given is missing or wrong",
            fix="send 'Authorization: Bearer <token>'; the token is in <home>/token",
            headers={"WWW-Authenticate": "Bearer"},
        )

    return authenticate
