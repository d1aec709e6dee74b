"""Finds the platform: the URL of its gateway, and the token.

Both are arguments, else ``BUSBAR_URL`` and ``BUSBAR_TOKEN``, else what `busbar up` on this machine
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
    token: str | SecretStr | None = None,
    *,
    environment: Mapping[str, str] = os.environ,  # noqa: TID251 - the settings of a client
) -> tuple[str, SecretStr]:
    """Return URL and token of the platform; ``url`` and ``token`` take precedence.

    An empty variable counts as unset.

    Raises:
        NoPlatform: there is no URL.
        ConfigurationError: there is no token, it cannot be one, or others can read its file.
    """
    home = Path(environment.get("BUSBAR_HOME") or DEFAULT_HOME)
    found = url or environment.get("BUSBAR_URL") or registered_url(home)
    if token is not None:
        return found, secret_of(token, "The argument `token`")
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
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8") if stat.S_ISREG(mode) else ""
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"There is no token file {path}.",
            fix="Start the platform with `busbar up`, set BUSBAR_TOKEN, or name the file with "
            "--token-file FILE.",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(
            f"No token can be read from {path}: {why}.",
            fix="Make the file readable for you, or name another with --token-file FILE.",
        ) from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise ConfigurationError(f"{path} is {kind}.", fix="Name the file that holds the token.")
    if mode & _OTHERS:
        raise ConfigurationError(
            f"The file {path} can be read by other users.", fix=f"Run: chmod 600 {path}"
        )
    if not text.strip():
        raise ConfigurationError(
            f"The token file {path} is empty.",
            fix="Remove it; the gateway creates a new one when it starts.",
        )
    return secret_of(text, f"The token file {path}")


def secret_of(token: str | SecretStr, place: str) -> SecretStr:
    """Return ``token``, from ``place``, in a form that is never printed.

    Raises:
        ConfigurationError: it cannot be a token.
    """
    text = token if isinstance(token, str) else token.get_secret_value()
    return SecretStr(check_token(text, place))
