"""Classification of PostgreSQL's errors, with the remedy for each.

Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html. Of an error in an open
session the message is passed on, and for some codes the DETAIL, never the query: they name objects
and quote no values of ours. Of an error while connecting nothing is: the server and the operating
system quote user, database, host and certificate, which come from a secret.
"""

import os
import re
import socket
import ssl
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
    "55000": "let that database accept connections (ALTER DATABASE … ALLOW_CONNECTIONS true)",
}

_CONNECTION_PROBLEMS: Final = {
    "28000": "the server does not admit this user from here",
    "28P01": "password authentication failed",
    "3D000": "the database does not exist",
    "42501": "permission denied for the database",
    "53300": "no connection is left",
    "55000": "the database does not accept connections",
    "57014": "the server ended the session",
    "57P01": "the server ended the session",
    "57P03": "the server is starting up or shutting down",
    "57P05": "the server ended the session",
    "58P01": "a library that is loaded at login is missing",
}
BROKEN_LOGINS: Final = frozenset({"28P01", "58P01"})
"""The password is wrong, or a library that is loaded at login is missing."""

INSUFFICIENT_PRIVILEGE: Final = "42501"
_LOCKED: Final = frozenset({"55P03", "55006"})
_PERMANENT_CLASSES: Final = frozenset({"0A", "0L", "0P", "22", "2B", "3F", "42", "54"})
_DEPENDENT_OBJECTS: Final = "2BP01"
_DETAILED: Final = frozenset({_DEPENDENT_OBJECTS, INSUFFICIENT_PRIVILEGE, *_LOCKED})
"""Codes whose DETAIL consists of names of objects, or says which right is missing."""

_MAX_DETAIL_LINES: Final = 10

CONNECTION_ERRORS: Final = (
    PostgresError,
    InterfaceError,
    InternalClientError,
    OSError,
    TimeoutError,
)
"""Everything that a connection raises."""


class Denied(Refused):
    """A privilege is missing. ``denial`` is the detail without the remedy."""

    def __init__(self, denial: str) -> None:
        super().__init__(f"{denial}. {_remedy(INSUFFICIENT_PRIVILEGE)}")
        self.denial = denial


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


def refusal_of(error: BaseException, *, doing: str, hidden: str) -> Refused:
    """Return the refusal of a change; ``doing`` completes "refused to …".

    ``hidden`` is the administrator's name, which comes from a secret: it is not passed on.
    """
    code = sqlstate_of(error)
    said = re.sub(rf"(?<!\w){re.escape(hidden)}(?!\w)", "<administrator>", _message_of(error))
    refusal = f"PostgreSQL refused to {doing}: {said}"
    if code == INSUFFICIENT_PRIVILEGE:
        return Denied(refusal)
    detail = f"{refusal}. {_remedy(code)}"
    if code in _LOCKED:
        return Refused(detail, reason="busy", permanent=False)
    return Refused(detail, permanent=code[:2] in _PERMANENT_CLASSES)


def connection_problem(error: BaseException) -> str:
    """Return why a connection could not be made or ended, without a word of the error itself."""
    match error:
        case PostgresError():
            code = sqlstate_of(error)
            return _CONNECTION_PROBLEMS.get(code, f"SQLSTATE {code}")
        case TimeoutError():
            return "no answer in time"
        case ssl.SSLCertVerificationError():
            return "the server's certificate is not accepted"
        case ssl.SSLError():
            return "TLS failed"
        case socket.gaierror():
            return "the host's name has no address"
        case OSError(errno=int(number)) if number > 0:
            return os.strerror(number)
        case OSError():
            return "the connection failed"
    return type(error).__name__


def _message_of(error: BaseException) -> str:
    """Return the server's message in one line, with its DETAIL if that only has names."""
    message = error.args[0] if error.args and isinstance(error, PostgresError) else None
    if not isinstance(message, str) or not message:
        return type(error).__name__
    first = message.splitlines()[0].rstrip(". ")
    detail = getattr(error, "detail", None)
    if sqlstate_of(error) not in _DETAILED or not isinstance(detail, str) or not detail:
        return first
    lines = [line.strip().rstrip(".") for line in detail.splitlines() if line.strip()]
    more = "; …" if len(lines) > _MAX_DETAIL_LINES else ""
    return f"{first} ({'; '.join(lines[:_MAX_DETAIL_LINES])}{more})"


def _remedy(code: str) -> str:
    if code == INSUFFICIENT_PRIVILEGE:
        return "Grant the administrator what this needs, or have a superuser do it."
    if code == _DEPENDENT_OBJECTS:
        return "Have the cluster's administrator drop or reassign what it names, then delete again."
    if code[:2] in _PERMANENT_CLASSES:
        return "Change what it names, here or in the cluster."
    return "busbar retries; if the error persists, see the server's log."
