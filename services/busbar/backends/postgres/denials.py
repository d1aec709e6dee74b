"""The remedy where PostgreSQL denied a privilege, which its message does not give.

An administrator with CREATEDB and CREATEROLE gets "must be superuser" as well, if someone else has
changed the role or uses the database. So the catalogue is asked what is in the way.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from busbar.backends.calls import AnswerLost, Refused
from busbar.backends.port import BackendUnavailable
from busbar.backends.postgres.errors import Denied
from busbar.backends.postgres.session import Session

_RIGHTS: Final = """
SELECT admin.rolsuper OR admin.rolcreatedb AS "CREATEDB",
       admin.rolsuper OR admin.rolcreaterole AS "CREATEROLE",
       NOT admin.rolsuper AND coalesce(role.rolsuper, false) AS "SUPERUSER",
       NOT admin.rolsuper AND coalesce(role.rolreplication, false)
       AND current_setting('server_version_num')::int < 160000 AS "REPLICATION"
  FROM pg_roles admin LEFT JOIN pg_roles role ON role.rolname = $1
 WHERE admin.rolname = session_user
"""
"""Before version 16, only a superuser may change a role that has REPLICATION."""

_SESSIONS: Final = """
SELECT DISTINCT a.usename AS role, r.rolsuper AS superuser
  FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
 WHERE a.datname = $1 AND a.pid <> pg_backend_pid()
   AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = session_user)
   AND (r.rolsuper OR NOT (pg_has_role(r.oid, 'USAGE')
                           OR pg_has_role('pg_signal_backend', 'USAGE')))
 ORDER BY 1
"""
"""Without process ids: the reason stays the same if a program connects again."""

_NEEDED: Final = ("CREATEDB", "CREATEROLE")
_PROTECTED: Final = ("SUPERUSER", "REPLICATION")


@asynccontextmanager
async def remedies(session: Session, role: str) -> AsyncIterator[None]:
    """Give a denial in the block the remedy that fits: ``role`` is what the block changes.

    Raises:
        Refused: with that remedy.
    """
    try:
        yield
    except Denied as error:
        remedy = await _remedy(session, role)
        if remedy is None:
            raise
        raise Refused(f"{error.denial}. {remedy}") from error.__cause__


async def _remedy(session: Session, role: str) -> str | None:
    """Return the remedy; None if nothing that is known is in the way, or there is no answer."""
    try:
        (row,) = await session.fetch(_RIGHTS, role)
    except (Refused, AnswerLost, BackendUnavailable, TimeoutError):
        return None
    protected = [name for name in _PROTECTED if row[name]]
    if protected:
        lost = " ".join(f"NO{name}" for name in protected)
        return (
            f"The role {role} has {' and '.join(protected)}, so that only a superuser may change "
            f"it: have one run ALTER ROLE {role} {lost}."
        )
    lacking = [name for name in _NEEDED if not row[name]]
    return f"Give the administrator {' and '.join(lacking)} on this cluster." if lacking else None


async def refuse_if_in_use(session: Session, database: str, error: Denied) -> None:
    """Return if no session in ``database`` explains the denial of dropping it.

    Raises:
        Refused: there are sessions that the administrator may not end. They may end themselves.
    """
    found = await session.fetch(_SESSIONS, database)
    if not found:
        return
    roles = ", ".join(row["role"] for row in found)
    remedy = "End them (pg_stat_activity lists them)"
    if not any(row["superuser"] for row in found):
        remedy += ", or grant pg_signal_backend to the administrator"
    raise Refused(
        f"the database {database} has sessions that the administrator may not end, of {roles}. "
        f"{remedy}; busbar retries",
        reason="busy",
        permanent=False,
    ) from error.__cause__
