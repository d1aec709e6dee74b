"""Rules for the names, owners and values of secrets."""

import re
from typing import Final, NoReturn

from pydantic import SecretStr

from busbar.kernel.errors import ConfigurationError
from busbar.kernel.resource import SLUG

PREFIX: Final = "secret:"
MAX_VALUE_BYTES: Final = 64 * 1024
"""Maximum size in bytes: more than any key, certificate chain or URL needs."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_TEAM = re.compile(SLUG)


def name_in(reference: str) -> str:
    """Return the name in ``secret:<name>``.

    Raises:
        ConfigurationError: ``reference`` does not have that form.
    """
    name = reference.removeprefix(PREFIX)
    if not reference.startswith(PREFIX) or not _NAME.fullmatch(name):
        raise ConfigurationError(
            "This is not a reference to a secret.",  # perhaps it is the secret itself
            fix="Write secret:<name>, of at most 63 lower-case letters, digits and hyphens.",
        )
    return name


def reference_to(name: str) -> str:
    """Return ``secret:<name>`` for a typed name, with or without its ``secret:``.

    Raises:
        ConfigurationError: it is not a valid name.
    """
    reference = PREFIX + name.removeprefix(PREFIX)
    name_in(reference)
    return reference


def check_team(team: str | None) -> None:
    """Check that ``team`` is the name of a team, or None.

    Raises:
        ConfigurationError: it is neither.
    """
    if team is not None and not _TEAM.fullmatch(team):
        raise ConfigurationError(
            f"{team!r} is not a valid team name.",
            fix="Write it in lower-case letters, digits and inner hyphens, as in team/environment.",
        )


def bytes_of(value: SecretStr) -> bytes:
    """Return the bytes to encrypt.

    Raises:
        ConfigurationError: it is empty, too long or not text; the message does not quote it.
    """
    try:
        plain = value.get_secret_value().encode()
    except UnicodeEncodeError:
        plain = b""  # raised outside the handler, as the cause would quote the secret
    if not 0 < len(plain) <= MAX_VALUE_BYTES:
        raise ConfigurationError(
            "The secret is empty, longer than 64 KiB, or not text in UTF-8.",
            fix="Give text; binary data can be stored as base64.",
        )
    return plain


def owner_name(team: str | None) -> str:
    """Return the owner of a secret as error messages name it."""
    return "the platform" if team is None else f"the team {team}"


def refuse_other_owner(reference: str, owner: str | None, team: str | None) -> NoReturn:
    """Refuse the use by ``team`` of a secret that belongs to ``owner``; None is the platform.

    Raises:
        ConfigurationError: always.
    """
    name = reference.removeprefix(PREFIX)
    how = "without --team" if team is None else f"with --team {team}"
    raise ConfigurationError(
        f"{reference} belongs to {owner_name(owner)}, not to {owner_name(team)}.",
        fix=f"Choose another name; or remove it (`busbar secrets remove {name}`), and store it "
        f"{how}.",
    )
