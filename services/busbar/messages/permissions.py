"""Permissions, ``<noun>:<verb>``: what a principal may ask for.

Every type of intent names the one that it needs (:attr:`Intent.PERMISSION`). A member of a team has
:data:`MEMBER` for that team; everything else is granted by name.
"""

from typing import Final

RESOURCE_WRITE: Final = "resource:write"
RESOURCE_RELEASE: Final = "resource:release"
OPERATION_RETRY: Final = "operation:retry"
OPERATION_ABANDON: Final = "operation:abandon"
SUBSCRIPTION_WRITE: Final = "subscription:write"
DEAD_LETTER_REDRIVE: Final = "dead-letter:redrive"
DEAD_LETTER_DISCARD: Final = "dead-letter:discard"
KEY_WRITE: Final = "key:write"
SECRET_WRITE: Final = "secret:write"  # noqa: S105 - a name, not a secret
TEAM_READ: Final = "team:read"
SUBJECT_ERASE: Final = "subject:erase"

ALL: Final = (
    RESOURCE_WRITE,
    RESOURCE_RELEASE,
    OPERATION_RETRY,
    OPERATION_ABANDON,
    SUBSCRIPTION_WRITE,
    DEAD_LETTER_REDRIVE,
    DEAD_LETTER_DISCARD,
    KEY_WRITE,
    SECRET_WRITE,
    TEAM_READ,
    SUBJECT_ERASE,
)

MEMBER: Final = frozenset({RESOURCE_WRITE, OPERATION_RETRY, SUBSCRIPTION_WRITE, TEAM_READ})
"""The permissions of every member of a team, for what is the team's."""

EVERY: Final = "*"
"""Stands for every permission, or every team, or every source."""
