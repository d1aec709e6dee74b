"""The file with the gateway's bearer token."""

import secrets
from pathlib import Path

from pydantic import SecretStr

from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.private_file import ensure_private_file, read_private_file

_TOKEN_BYTES = 32


def ensure_token(path: Path) -> SecretStr:
    """Return the token in the file at ``path``; create it with 32 random bytes if missing.

    Raises:
        ConfigurationError: the file is empty, or other users may read it.
    """
    return _token(ensure_private_file(path, secrets.token_urlsafe(_TOKEN_BYTES)), path)


def read_token(path: Path) -> SecretStr:
    """Return the token in the file at ``path``.

    Raises:
        ConfigurationError: the file is missing or empty, or other users may read it.
    """
    try:
        text = read_private_file(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"No token can be read from {path}.",
            fix="Start the platform with `busbar up`, or name the file with --token-file FILE.",
        ) from error
    return _token(text, path)


def _token(text: str, path: Path) -> SecretStr:
    if not text:
        raise ConfigurationError(
            f"The token file {path} is empty.",
            fix="Remove it; the gateway creates a new one when it starts.",
        )
    return check_token(SecretStr(text), f"The token file {path}")


def check_token(token: SecretStr, place: str) -> SecretStr:
    """Return ``token`` if it fits into an HTTP header; ``place`` names where it is from.

    Raises:
        ConfigurationError: it is empty or has a character that a header cannot hold.
    """
    text = token.get_secret_value().strip()
    if not text or not (text.isascii() and text.isprintable()):
        raise ConfigurationError(
            f"{place} does not hold a token: a token is printable ASCII, in one line.",
            fix="Copy the token again, as the gateway has it.",
        )
    return SecretStr(text)
