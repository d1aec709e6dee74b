"""Checks whether a cluster is set up as documented: teams reach no databases but their own."""

import asyncio
from typing import Final

from pydantic import SecretStr

from busbar.backends.calls import AnswerLost, Refused
from busbar.backends.port import BackendUnavailable
from busbar.backends.postgres.session import Session, open_session, read_cluster

_OPEN: Final = """
SELECT datname AS name FROM pg_database
 WHERE datallowconn AND has_database_privilege('public', oid, 'CONNECT')
 ORDER BY datname
"""

_SECONDS: Final = 5.0


async def open_databases(session: Session) -> list[str]:
    """Return the databases that every role of the cluster may connect to."""
    return [row["name"] for row in await session.fetch(_OPEN)]


async def cluster_problem(reference: str, url: SecretStr) -> tuple[str, str] | None:
    """Return a problem of the cluster whose URL is stored under ``reference``, and its remedy.

    None means that there is none. Nothing is changed.
    """
    until = asyncio.get_running_loop().time() + _SECONDS
    try:
        async with open_session(read_cluster(reference, url), until=until) as session:
            found = await open_databases(session)
    except (Refused, AnswerLost, BackendUnavailable) as error:
        return str(error), "See docs/how-to/offer-postgres-databases.md."
    if not found:
        return None
    names = ", ".join(f'"{name}"' for name in found)
    detail = f"every role, also those of teams, may connect to {', '.join(found)}"
    fix = f"Run on the cluster: REVOKE CONNECT ON DATABASE {names} FROM PUBLIC"
    return detail, f"{fix}; the administrator needs CONNECT on them."
