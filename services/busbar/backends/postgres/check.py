"""Checks whether a cluster is set up as documented: teams reach no databases but their own."""

import asyncio
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterProblem:
    """A problem of a cluster and its remedy. ``works`` if databases are created in spite of it."""

    detail: str
    fix: str
    works: bool = False


async def cluster_problem(reference: str, url: SecretStr) -> ClusterProblem | None:
    """Return a problem of the cluster whose URL is stored under ``reference``.

    None means that there is none. Nothing is changed.
    """
    until = asyncio.get_running_loop().time() + _SECONDS
    try:
        async with open_session(read_cluster(reference, url), until=until) as session:
            found = await open_databases(session)
    except Refused as error:  # its sentence ends with the remedy
        fix = f"Correct it on the server, or store the right URL: {_put(reference)}"
        return ClusterProblem(detail=str(error), fix=fix)
    except (AnswerLost, BackendUnavailable) as error:
        fix = f"Start the server, or store the URL of one that answers: {_put(reference)}"
        return ClusterProblem(detail=str(error), fix=fix)
    if not found:
        return None
    names = ", ".join(f'"{name}"' for name in found)
    detail = f"every role, also those of teams, may connect to {', '.join(found)}"
    fix = f"Run on the cluster: REVOKE CONNECT ON DATABASE {names} FROM PUBLIC"
    return ClusterProblem(
        detail=detail, fix=f"{fix}; the administrator needs CONNECT on them.", works=True
    )


def _put(reference: str) -> str:
    return f"busbar secrets put {reference.removeprefix('secret:')}."
