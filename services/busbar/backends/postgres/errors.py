"""What PostgreSQL's errors mean for a call, and what people can do about it.

Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html. Only an error's message is
handed on, never its query: messages name things and quote no values of ours.
"""

from typing import Final

from asyncpg import InterfaceError, PostgresError
from asyncpg.exceptions import InternalClientError

from busbar.backends.port import Outcome

_LOST: Final = frozenset({"57014", "57P01", "57P02", "57P03", "57P05", "25P03"})
"""Ended from outside: canceled, out of time, or the server goes down."""

_NOT_LET_IN: Final = {
    "28000": "check that pg_hba.conf lets this user in from here",
    "28P01": "put the administrator's right password into it",
    "3D000": "name a database that exists, such as postgres",
    "42501": "grant the administrator CONNECT on that database",
}

_LOCKED: Final = frozenset({"55P03", "55006"})
_PERMANENT_CLASSES: Final = frozenset({"0A", "0L", "0P", "22", "2B", "3F", "42", "54"})
_NO_RIGHT: Final = "42501"
_STILL_NEEDED: Final = "2BP01"

TROUBLE: Final = (PostgresError, InterfaceError, InternalClientError, OSError, TimeoutError)
"""Everything that a connection raises."""


class Refused(Exception):
    """The call ends with ``outcome``: nothing that was asked for last has been done."""

    def __init__(self, outcome: Outcome) -> None:
        """End with ``outcome``."""
        super().__init__(outcome.detail)
        self.outcome = outcome


class AnswerLost(Exception):
    """A change was sent and its answer never came: it may or may not have been carried out."""


def refused(detail: str) -> Refused:
    """Refused for good; ``detail`` says by what, and what to do."""
    return Refused(Outcome.not_done("refused", detail, permanent=True))


def code_of(error: BaseException) -> str:
    """The SQLSTATE, or nothing."""
    return (error.sqlstate or "") if isinstance(error, PostgresError) else ""


def is_lost(error: BaseException) -> bool:
    """Whether this is the end of the connection, or of the time, and not an answer."""
    code = code_of(error)
    return not code or code in _LOST or code.startswith("08")


def not_let_in(error: BaseException) -> str | None:
    """What to do if a connection was refused for good; None if it may work later."""
    return _NOT_LET_IN.get(code_of(error))


def judge(error: BaseException, *, doing: str) -> Outcome:
    """The outcome of a change that PostgreSQL refused; ``doing`` completes "refused to …"."""
    code = code_of(error)
    detail = f"PostgreSQL refused to {doing}: {words(error)}. {_advice(code)}"
    if code in _LOCKED:
        return Outcome.not_done("busy", detail, permanent=False)
    return Outcome.not_done("refused", detail, permanent=code[:2] in _PERMANENT_CLASSES)


def words(error: BaseException) -> str:
    """What went wrong, in PostgreSQL's words if it said any."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    said = error.args[0] if error.args and isinstance(error, PostgresError) else None
    if isinstance(said, str) and said:
        return said.splitlines()[0].rstrip(". ")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


def _advice(code: str) -> str:
    if code == _NO_RIGHT:
        return "Give the administrator CREATEDB and CREATEROLE on this cluster."
    if code == _STILL_NEEDED:
        return "Have the cluster's administrator drop or reassign what the role has elsewhere."
    if code[:2] in _PERMANENT_CLASSES:
        return "Change what it names, here or in the cluster."
    return "It is tried again; if it stays, see the server's log."
