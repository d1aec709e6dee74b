"""The file with the gateway's bearer token: readable by its owner only."""

import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from busbar.kernel.errors import ConfigurationError

_BYTES = 32


def read_token(path: Path) -> SecretStr:
    """The token in the file ``path``.

    Raises:
        ConfigurationError: it is not there, is empty, or others may read it.
    """
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"There is no token to read in {path}.",
            fix="Start the platform with `busbar up`, or name the file with --token-file FILE.",
        ) from error
    if mode & 0o077:
        raise ConfigurationError(
            f"The token file {path} can be read by others.", fix=f"Run: chmod 600 {path}"
        )
    if not text:
        raise ConfigurationError(
            f"The token file {path} is empty.", fix="Remove it; `busbar up` makes a new one."
        )
    return SecretStr(text)


def ensure_token(path: Path) -> SecretStr:
    """The token in the file ``path``, made (32 random bytes, mode 0600) if there is none.

    Raises:
        ConfigurationError: there is a file, but it is empty or others may read it.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read_token(path)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(secrets.token_urlsafe(_BYTES) + "\n")
    return read_token(path)
