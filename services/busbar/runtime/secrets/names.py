"""What a secret may be called, whose it may be, and what may be stored."""

import re
from typing import Final

from pydantic import SecretStr

from busbar.kernel.errors import ConfigurationError
from busbar.kernel.resource import SLUG

PREFIX: Final = "secret:"
LONGEST_VALUE: Final = 64 * 1024
"""Bytes: more than any key, certificate chain or URL needs."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_TEAM = re.compile(SLUG)


def name_in(reference: str) -> str:
    """The name in ``secret:<name>``.

    Raises:
        ConfigurationError: ``reference`` is something else.
    """
    name = reference.removeprefix(PREFIX)
    if not reference.startswith(PREFIX) or not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{reference!r} is no reference to a secret.",
            fix="Write secret:<name>, of at most 63 lower-case letters, digits and hyphens.",
        )
    return name


def reference_to(name: str) -> str:
    """``secret:<name>`` for a name that people typed, with or without ``secret:``.

    Raises:
        ConfigurationError: it is no name.
    """
    reference = PREFIX + name.removeprefix(PREFIX)
    name_in(reference)
    return reference


def check_team(team: str | None) -> None:
    """Return if ``team`` is a team, or None.

    Raises:
        ConfigurationError: it is neither.
    """
    if team is not None and not _TEAM.fullmatch(team):
        raise ConfigurationError(
            f"{team!r} is no team.",
            fix="Write it in lower-case letters, digits and inner hyphens, as in team/environment.",
        )


def bytes_of(value: SecretStr) -> bytes:
    """The bytes to seal.

    Raises:
        ConfigurationError: it is empty, too long or no text; the sentence does not quote it.
    """
    try:
        plain = value.get_secret_value().encode()
    except UnicodeEncodeError:
        plain = b""  # raised outside the handler: the cause would quote the secret
    if not 0 < len(plain) <= LONGEST_VALUE:
        raise ConfigurationError(
            "The secret is empty, longer than 64 KiB, or no text in UTF-8.",
            fix="Give text; what is binary can be stored as base64.",
        )
    return plain


def owner_name(team: str | None) -> str:
    """Who owns a secret, for sentences."""
    return "the platform" if team is None else f"the team {team}"
