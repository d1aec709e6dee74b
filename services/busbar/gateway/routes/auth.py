"""Authentication by a bearer token from the environment or a 0600 file; denied by default."""

import hmac
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from busbar.gateway.routes.dependencies import Use
from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.token import ensure_token
from busbar.runtime.http.problems import ProblemError

PRINCIPAL: Final = "admin"
"""The principal that has the token; the first start declares it in principals.yaml."""
_BEARER: Final = HTTPBearer(
    scheme_name="bearer", auto_error=False, description="The token in `<home>/token`."
)


def load_token(home: Path, token: SecretStr | None) -> SecretStr:
    """Return the gateway's token; if none is given, ``<home>/token``, created on first use.

    Raises:
        ConfigurationError: the file is readable by others, or the token is empty.
    """
    if token is None:
        return ensure_token(home / "token")
    if not token.get_secret_value().strip():
        # An empty token would admit every client that sends an empty one.
        raise ConfigurationError(
            "The gateway's token is empty.",
            fix="Set BUSBAR_TOKEN to a long random text, or unset it to have one generated.",
        )
    return token


async def authenticate(
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)], use: Use
) -> str:
    """Return the principal that sent the request.

    Raises:
        ProblemError: the token is missing or wrong.
    """
    expected = use.token.get_secret_value().strip().encode()
    if given and hmac.compare_digest(given.credentials.strip().encode(), expected):
        return PRINCIPAL
    raise ProblemError(
        HTTPStatus.UNAUTHORIZED,
        "unauthenticated",
        "this request needs a bearer token, and the one given is missing or wrong",
        fix="send 'Authorization: Bearer <token>'; the token is in <home>/token",
        headers={"WWW-Authenticate": "Bearer"},
    )


Principal = Annotated[str, Depends(authenticate)]
