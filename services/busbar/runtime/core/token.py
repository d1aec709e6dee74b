"""The file with the gateway's bearer token. Clients read it by ``busbar.sdk.discovery``."""

import secrets
from pathlib import Path

from pydantic import SecretStr

from busbar.kernel.errors import ConfigurationError
from busbar.kernel.token import check_token
from busbar.runtime.core.private_file import ensure_private_file

_TOKEN_BYTES = 32


def ensure_token(path: Path) -> SecretStr:
    """Return the token in the file at ``path``; create it with 32 random bytes if missing.

    Raises:
        ConfigurationError: the file is empty, or other users may read it.
    """
    text = ensure_private_file(path, secrets.token_urlsafe(_TOKEN_BYTES))
    if not text:
        raise ConfigurationError(
            f"The token file {path} is empty.",
            fix="Remove it; the gateway creates a new one when it starts.",
        )
    return SecretStr(check_token(text, f"The token file {path}"))
