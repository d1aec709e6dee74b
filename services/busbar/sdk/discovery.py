"""Finds the platform: the URL of its gateway, and the credential for it.

Both are arguments, else variables: ``BUSBAR_URL``, and ``BUSBAR_PRINCIPAL`` (whose key is in
``BUSBAR_KEY_FILE``, or in the home) or ``BUSBAR_TOKEN``; else what `busbar up` on this machine
keeps in its home: ``run/gateway.json`` and ``token`` in ``BUSBAR_HOME``, which is ``.busbar`` by
default. The command line finds them with the same functions.
"""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from busbar.kernel.errors import ConfigurationError
from busbar.kernel.token import check_token
from busbar.messages.signing import InvalidKey, SigningKey
from busbar.sdk.key_token import KeyToken

DEFAULT_HOME: Final = Path(".busbar")
_OTHERS: Final = 0o077


class NoPlatform(ConfigurationError):
    """No URL was given, and no platform runs in the home."""

    def __init__(self, home: Path) -> None:
        super().__init__(
            f"No platform is running in {home}.",
            fix="Start one with `busbar up`, or name a gateway: BUSBAR_URL, or `--url URL`.",
        )


def find_platform(
    url: str | None = None,
    token: str | SecretStr | KeyToken | None = None,
    *,
    environment: Mapping[str, str] = os.environ,  # noqa: TID251 - the settings of a client
) -> tuple[str, SecretStr | KeyToken]:
    """Return URL and credential of the platform; ``url`` and ``token`` take precedence.

    An empty variable counts as unset.

    Raises:
        NoPlatform: there is no URL.
        ConfigurationError: there is no token or key, it cannot be one, or others can read its
            file.
    """
    home = Path(environment.get("BUSBAR_HOME") or DEFAULT_HOME)
    found = url or environment.get("BUSBAR_URL") or registered_url(home)
    if isinstance(token, KeyToken):
        return found, token
    if token is not None:
        return found, secret_of(token, "The argument `token`")
    if principal := environment.get("BUSBAR_PRINCIPAL"):
        file = environment.get("BUSBAR_KEY_FILE") or key_file(home, principal)
        return found, KeyToken(principal, read_key(Path(file)))
    if variable := environment.get("BUSBAR_TOKEN"):
        return found, secret_of(variable, "BUSBAR_TOKEN")
    return found, read_token(home / "token")


def registered_url(home: Path) -> str:
    """Return the URL of the gateway that `busbar up` runs in ``home``.

    Raises:
        NoPlatform: none does.
    """
    try:
        return str(json.loads((home / "run" / "gateway.json").read_text("utf-8"))["url"])
    except (OSError, ValueError, KeyError, TypeError):
        raise NoPlatform(home) from None


def read_token(path: Path) -> SecretStr:
    """Return the token in the file at ``path``.

    Raises:
        ConfigurationError: the file is missing or empty, or other users may read it.
    """
    text = _private_text(
        path,
        "token",
        missing="Start the platform with `busbar up`, set BUSBAR_TOKEN, or name the file with "
        "--token-file FILE.",
        other="--token-file FILE",
    )
    if not text.strip():
        raise ConfigurationError(
            f"The token file {path} is empty.",
            fix="Remove it; the gateway creates a new one when it starts.",
        )
    return secret_of(text, f"The token file {path}")


def key_file(home: Path, principal: str) -> Path:
    """Return where `busbar keys create` puts the private key of ``principal``."""
    return home / "keys" / f"{principal}.pem"


def read_key(path: Path) -> SigningKey:
    """Return the private key in the file at ``path``.

    Raises:
        ConfigurationError: the file is missing or not a key, or other users may read it.
    """
    pem = _private_text(
        path,
        "key",
        missing="Create the key with `busbar keys create NAME`, or name the file with --key FILE.",
        other="--key FILE",
    )
    try:
        return SigningKey.from_pem(pem)
    except InvalidKey as error:
        problem = str(error)
    raise ConfigurationError(  # outside of the handler, so that no traceback shows the file
        f"{path}: {problem}", fix="Name the file of a private key with --key FILE."
    )


def _private_text(path: Path, what: str, *, missing: str, other: str) -> str:
    """Return the text of a file that only its owner can read; ``what`` it holds is a secret.

    Raises:
        ConfigurationError: it cannot be read, or other users may read it.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8") if stat.S_ISREG(mode) else ""
    except FileNotFoundError as error:
        raise ConfigurationError(f"There is no {what} file {path}.", fix=missing) from error
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(
            f"No {what} can be read from {path}: {why}.",
            fix=f"Make the file readable for you, or name another with {other}.",
        ) from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise ConfigurationError(f"{path} is {kind}.", fix=f"Name the file that holds the {what}.")
    if mode & _OTHERS:
        raise ConfigurationError(
            f"The file {path} can be read by other users.", fix=f"Run: chmod 600 {path}"
        )
    return text


def secret_of(token: str | SecretStr, place: str) -> SecretStr:
    """Return ``token``, from ``place``, in a form that is never printed.

    Raises:
        ConfigurationError: it cannot be a token.
    """
    text = token if isinstance(token, str) else token.get_secret_value()
    return SecretStr(check_token(text, place))
