"""Classification of PostgreSQL's errors, with the remedy for each.

Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html. Only an error's message is
passed on, never its query: messages name objects and quote no values of ours.
"""

from typing import Final

from asyncpg import InterfaceError, PostgresError
from asyncpg.exceptions import InternalClientError

from busbar.backends.calls import Refused

_DISCONNECTS: Final = frozenset({"57014", "57P01", "57P02", "57P03", "57P05", "25P03"})
"""Ended from outside: cancelled, out of time, or the server is shutting down."""

_LOGIN_REMEDIES: Final = {
    "28000": "check that pg_hba.conf admits this user from here",
    "28P01": "put the administrator's current password into it",
    "3D000": "name a database that exists, such as postgres",
    "42501": "grant the administrator CONNECT on that database",
}

INSUFFICIENT_PRIVILEGE: Final = "42501"
_LOCKED: Final = frozenset({"55P03", "55006"})
_PERMANENT_CLASSES: Final = frozenset({"0A", "0L", "0P", "22", "2B", "3F", "42", "54"})
_DEPENDENT_OBJECTS: Final = "2BP01"

CONNECTION_ERRORS: Final = (
    PostgresError,
    InterfaceError,
    InternalClientError,
    OSError,
    TimeoutError,
)
"""Everything that a connection raises."""


def sqlstate_of(error: BaseException) -> str:
    """Return the SQLSTATE, or an empty string if there is none."""
    return (error.sqlstate or "") if isinstance(error, PostgresError) else ""


def is_disconnect(error: BaseException) -> bool:
    """Return True if the connection or the time ended, so that there was no answer."""
    code = sqlstate_of(error)
    return not code or code in _DISCONNECTS or code.startswith("08")


def login_remedy(error: BaseException) -> str | None:
    """Return the remedy if the server permanently refuses the connection, else None."""
    return _LOGIN_REMEDIES.get(sqlstate_of(error))


def refusal_of(error: BaseException, *, doing: str) -> Refused:
    """Return the refusal of a change; ``doing`` completes "refused to …"."""
    code = sqlstate_of(error)
    detail = f"PostgreSQL refused to {doing}: {message_of(error)}. {_remedy(code)}"
    if code in _LOCKED:
        return Refused(detail, reason="busy", permanent=False)
    return Refused(detail, permanent=code[:2] in _PERMANENT_CLASSES)


def message_of(error: BaseException) -> str:
    """Return the server's message, or the kind of the error if the server sent none."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    message = error.args[0] if error.args and isinstance(error, PostgresError) else None
    if isinstance(message, str) and message:
        return message.splitlines()[0].rstrip(". ")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


def _remedy(code: str) -> str:
    if code == INSUFFICIENT_PRIVILEGE:
        return "Give the administrator CREATEDB and CREATEROLE on this cluster."
    if code == _DEPENDENT_OBJECTS:
        return "Have the cluster's administrator drop or reassign what the role owns elsewhere."
    if code[:2] in _PERMANENT_CLASSES:
        return "Change what it names, here or in the cluster."
    return "busbar retries; if the error persists, see the server's log."
