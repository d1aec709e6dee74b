"""The uses of secrets, and the check of a value against its use.

A value is checked when it is stored, by the code that reads it when it is used. Errors never quote
any part of a value.
"""

from enum import Enum
from typing import Final

from pydantic import SecretStr

from busbar.kernel.errors import ConfigurationError
from busbar.kernel.postgres_url import parse_postgres_url
from busbar.kernel.webhook_secret import PREFIX as WEBHOOK_PREFIX
from busbar.kernel.webhook_secret import parse_webhook_keys
from busbar.runtime.core.cipher import read_cipher


class SecretKind(Enum):
    """The declared use of a secret."""

    WEBHOOK = "webhook"
    """Signs a team's webhooks: whsec_ and base64, one a line."""
    POSTGRES_URL = "postgres-url"
    """The URL of a PostgreSQL server, with the credentials for it."""
    KEY = "key"
    """32 bytes of base64."""
    TEXT = "text"
    """Anything else, such as what an adapter of your own needs."""


CLUSTER_NAME: Final = "postgres-cluster"
CREDENTIALS_PREFIX: Final = "database-"
"""Names that the adapter of PostgreSQL databases gives, whatever was declared for them."""

_URL_SCHEMES: Final = ("postgresql:", "postgres:")


def kind_of_name(name: str) -> SecretKind | None:
    """Return the use that ``name`` has by itself, or None."""
    is_url = name == CLUSTER_NAME or name.startswith(CREDENTIALS_PREFIX)
    return SecretKind.POSTGRES_URL if is_url else None


def kind_of_value(value: SecretStr) -> SecretKind | None:
    """Return the use that ``value`` appears to be meant for, or None."""
    text = value.get_secret_value().strip().lower()
    if text.startswith(WEBHOOK_PREFIX):
        return SecretKind.WEBHOOK
    return SecretKind.POSTGRES_URL if text.startswith(_URL_SCHEMES) else None


def check_value(reference: str, value: SecretStr, kind: SecretKind) -> None:
    """Check that ``value`` can be used as ``kind``.

    Raises:
        ConfigurationError: it cannot; the error has the reference and no part of the value.
    """
    text = value.get_secret_value()
    try:
        match kind:
            case SecretKind.WEBHOOK:
                parse_webhook_keys(text)
            case SecretKind.POSTGRES_URL:
                parse_postgres_url(text)
            case SecretKind.KEY:
                read_cipher(value)
            case SecretKind.TEXT:
                return
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{reference} was not stored, as it is for use as {kind.value}. {error.problem}",
            fix=error.fix,
        ) from error


def check_owner(reference: str, name: str, team: str | None) -> None:
    """Check that ``team`` may own a secret called ``name``; None is the platform.

    Raises:
        ConfigurationError: only the platform may.
    """
    if name == CLUSTER_NAME and team is not None:
        raise ConfigurationError(
            f"{reference} holds credentials of the platform, so the team {team} cannot own it.",
            fix="Leave out --team, or choose another name.",
        )


def check_declared(reference: str, name: str, kind: SecretKind | None) -> None:
    """Check that ``kind`` is a use that a secret called ``name`` can have.

    Raises:
        ConfigurationError: the name stands for another use.
    """
    fixed = kind_of_name(name)
    if kind is not None and fixed is not None and kind is not fixed:
        raise ConfigurationError(
            f"{reference} is always used as {fixed.value}, not as {kind.value}.",
            fix="Choose another name for it.",
        )
