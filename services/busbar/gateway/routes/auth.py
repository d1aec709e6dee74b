"""Authentication: the administrator by the local token, principals by a token that they sign.

Denied by default. Nothing about a principal or its key is kept from one request to the next: a key
that is revoked is refused as soon as the gateway has folded that.
"""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from busbar.gateway.domain import ADMINISTRATOR, BadToken, identify, parse_token
from busbar.gateway.routes.dependencies import Use
from busbar.kernel.errors import ConfigurationError
from busbar.messages.authority import Principal
from busbar.runtime.core.token import ensure_token
from busbar.runtime.http.problems import ProblemError

_BEARER: Final = HTTPBearer(
    scheme_name="bearer",
    auto_error=False,
    description="The administrator's token, which is in `<home>/token`; or a JWT that a principal"
    ' signs with its Ed25519 key: the header `{"alg":"EdDSA","kid":KEY_ID,"typ":"JWT"}`, and the'
    " claims `aud` (`busbar`), `exp`, `iat` and `sub` (the principal), valid for ten minutes at"
    " most. A principal sees what belongs to its teams.",
)
_JWT_DOTS: Final = 2


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


@dataclass(frozen=True, slots=True)
class Session:
    """The principal that sent a request, and how to ask for it again while the request waits."""

    principal: Principal
    again: Callable[[], Awaitable[Principal]]


async def authenticate(
    request: Request,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    use: Use,
) -> Session:
    """Return the principal that sent the request.

    Raises:
        ProblemError: it has no token, or one that is refused.
    """
    text = given.credentials.strip() if given else ""
    if len(request.headers.getlist("authorization")) > 1:
        raise _refused("the header Authorization is there twice", "send it once")
    expected = use.token.get_secret_value().strip().encode()
    if given and hmac.compare_digest(text.encode(), expected):
        return Session(ADMINISTRATOR, _administrator)
    if text.count(".") != _JWT_DOTS:
        raise _refused(
            "this request needs a bearer token, and the one given is missing or wrong",
            "send 'Authorization: Bearer <token>': a token that your principal signs"
            " (docs/how-to/use-http.md), or the administrator's, in <home>/token",
        )
    return await _by_token(text, use)


async def _administrator() -> Principal:
    return ADMINISTRATOR


async def _by_token(text: str, use: Use) -> Session:
    try:
        claimed = parse_token(text, now=use.store.clock.now())
    except BadToken as error:
        raise _invalid(error) from error

    async def principal() -> Principal:
        try:
            return identify(text, claimed, await use.queries.principal(claimed.principal))
        except BadToken as error:
            raise _invalid(error) from error

    return Session(await principal(), principal)


def _invalid(error: BadToken) -> ProblemError:
    return ProblemError(
        HTTPStatus.UNAUTHORIZED,
        "invalid_token",
        str(error),
        fix=error.fix,
        headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},  # RFC 6750, section 3
    )


def _refused(detail: str, fix: str) -> ProblemError:
    return ProblemError(
        HTTPStatus.UNAUTHORIZED,
        "unauthenticated",
        detail,
        fix=fix,
        headers={"WWW-Authenticate": "Bearer"},
    )


Caller = Annotated[Session, Depends(authenticate)]
