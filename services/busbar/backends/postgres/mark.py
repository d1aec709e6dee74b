"""The ownership mark: a comment on the role that owns the database (ADR 11).

``COMMENT ON ROLE`` commits together with ``CREATE ROLE``, and ``CREATE DATABASE … OWNER`` names
that role in the statement that creates the database. So a database is ours as soon as it exists:
its owner carries our mark. The owner itself cannot change the comment.
"""

import hashlib
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

PREFIX: Final = "busbar:v1:"
DECISION: Final = "docs/adr/0011-postgres-databases-marked-by-owner-role.md"
_ANY_VERSION: Final = "busbar:"

_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Mark(BaseModel):
    """The role's owner, database and progress. Every role of the cluster can read it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    owner: _Digest
    """SHA-256 of the call's owner."""
    database: str
    epoch: int
    """The highest epoch that has acted."""
    credentials: str
    """The reference of the secret with the password."""
    fingerprint: _Digest | None = None
    """Of the role's password; None until it has one. See :func:`fingerprint_of`."""
    extensions: list[str] = []
    """The extensions that busbar installed or is about to; the owner may install others."""

    def text(self) -> str:
        """Return the mark as a comment."""
        return PREFIX + self.model_dump_json()


def read_mark(comment: str | None) -> Mark | None:
    """Return the mark in ``comment``, or None."""
    if comment is None or not comment.startswith(PREFIX):
        return None
    try:
        return Mark.model_validate_json(comment.removeprefix(PREFIX))
    except ValidationError:
        return None


def is_mark(comment: str | None) -> bool:
    """Return True if ``comment`` is a mark of any owner, even of a version that we cannot read."""
    return comment is not None and comment.startswith(_ANY_VERSION)


def owner_digest(owner: str) -> str:
    """Return the form of ``owner`` that a mark contains."""
    return hashlib.sha256(owner.encode()).hexdigest()


def fingerprint_of(password: str) -> str:
    """Return the SHA-256 of ``password``, which shows if the role has the stored password.

    It may be public, because the password has 256 random bits.
    """
    return hashlib.sha256(b"busbar:v1:password:" + password.encode()).hexdigest()
