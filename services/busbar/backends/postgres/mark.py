"""The ownership mark: a comment on the role that owns the database (ADR 11).

``COMMENT ON ROLE`` commits together with ``CREATE ROLE``, and ``CREATE DATABASE … OWNER`` names
that role in the same statement that makes the database. So a database is ours from its first
moment: its owner carries our mark. The owner itself cannot change the comment.
"""

import hashlib
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

PREFIX: Final = "busbar:v1:"
_ANY_VERSION: Final = "busbar:"

_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Mark(BaseModel):
    """Whose role it is, for which database, and how far we got. Everybody can read it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    owner: _Digest
    """SHA-256 over the call's owner."""
    database: str
    epoch: int
    """The highest under which anybody acted."""
    credentials: str
    """The reference under which the password is stored."""
    fingerprint: _Digest | None = None
    """Of the password that the role has; None until it has one. See :func:`fingerprint_of`."""
    extensions: list[str] = []
    """What busbar installed, or is about to; others are the owner's own affair."""

    def text(self) -> str:
        """The comment."""
        return PREFIX + self.model_dump_json()


def read_mark(comment: str | None) -> Mark | None:
    """The mark in ``comment``, or None."""
    if comment is None or not comment.startswith(PREFIX):
        return None
    try:
        return Mark.model_validate_json(comment.removeprefix(PREFIX))
    except ValidationError:
        return None


def is_mark(comment: str | None) -> bool:
    """Whether ``comment`` is anybody's mark, also of a version that we cannot read."""
    return comment is not None and comment.startswith(_ANY_VERSION)


def owner_digest(owner: str) -> str:
    """``owner`` as it stands in a mark."""
    return hashlib.sha256(owner.encode()).hexdigest()


def fingerprint_of(password: str) -> str:
    """SHA-256 over ``password``: it tells whether the role has the password that is stored.

    Safe to be read by everybody, because the password has 256 random bits.
    """
    return hashlib.sha256(b"busbar:v1:password:" + password.encode()).hexdigest()
