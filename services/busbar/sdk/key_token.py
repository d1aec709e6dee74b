"""The credential of a principal: tokens that its key signs, each for a few minutes."""

import time
from collections.abc import Callable
from typing import Final

from pydantic import SecretStr

from busbar.messages.access_token import MAX_SECONDS, sign_token
from busbar.messages.signing import SigningKey

RENEWED_SECONDS: Final = MAX_SECONDS // 2
"""The time after which a token is replaced; the rest is for slow requests and other clocks."""


class KeyToken:
    """Authenticates as ``principal`` with its ``key``, and renews its tokens by itself."""

    def __init__(
        self, principal: str, key: SigningKey, *, now: Callable[[], float] = time.time
    ) -> None:
        self.principal: Final = principal
        self._key = key
        self._now = now
        self._issued = 0
        self._token: SecretStr | None = None

    def token(self) -> SecretStr:
        """Return a token that is valid for some minutes more."""
        now = int(self._now())
        if self._token is None or not 0 <= now - self._issued < RENEWED_SECONDS:
            self._issued = now
            self._token = SecretStr(sign_token(self.principal, self._key, issued=now))
        return self._token

    def __repr__(self) -> str:
        return f"KeyToken({self.principal!r}, {self._key!r})"
