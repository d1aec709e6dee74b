"""The check that keeps databases out of the cluster that holds busbar's own store.

A write transaction that stays open anywhere in that cluster, in any database, delays the readers
of every service (ADR 12). URLs do not identify a cluster, since it can have many names.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import asyncpg
from pydantic import SecretStr

from busbar.backends.calls import Refused
from busbar.backends.port import UNAVAILABLE, BackendUnavailable, Environment
from busbar.backends.postgres.errors import (
    CONNECTION_ERRORS,
    INSUFFICIENT_PRIVILEGE,
    connection_problem,
    sqlstate_of,
)
from busbar.backends.postgres.session import Session

_CONNECT_SECONDS: Final = 3.0
_CLOSE_SECONDS: Final = 1.0

_SYSTEM_IDENTIFIER: Final = (
    "SELECT system_identifier::text AS id FROM pg_catalog.pg_control_system()"
)
"""Set by initdb and unique; a hardened cluster may not let every role read it."""

_START_AND_OID: Final = """
SELECT extract(epoch FROM pg_catalog.pg_postmaster_start_time())::text AS started,
       d.oid::text AS oid, d.datname::text AS database
  FROM pg_catalog.pg_database d
 WHERE d.datname = coalesce($1, pg_catalog.current_database())
"""
"""Every role may read these. No two servers start in the same microsecond and also give a database
the same number."""

SYSTEM, STARTED, DATABASE, OID = "system_identifier", "started", "database", "oid"


async def store_server_at(url: SecretStr) -> Mapping[str, str]:
    """Return what identifies the server of the store at ``url``, for ``Environment``.

    Raises:
        ConnectionError: it does not answer.
    """
    try:
        connection = await asyncpg.connect(url.get_secret_value(), timeout=_CONNECT_SECONDS)
        try:
            (row,) = await connection.fetch(_START_AND_OID, None)
            identity = {name: row[name] for name in (STARTED, DATABASE, OID)}
            try:
                identity[SYSTEM] = await connection.fetchval(_SYSTEM_IDENTIFIER)
            except asyncpg.InsufficientPrivilegeError:
                return identity
            return identity
        finally:
            await connection.close(timeout=_CLOSE_SECONDS)
    except (*CONNECTION_ERRORS, ValueError) as error:
        problem = f"busbar's own database does not answer ({connection_problem(error)})"
    # Raised outside the handler: the error quotes names from the URL.
    raise ConnectionError(problem)


async def require_isolated(session: Session, environment: Environment, *, until: float) -> None:
    """Return if the cluster of ``session`` is not the one with busbar's own store.

    Raises:
        Refused: it is, or the store's server does not answer before ``until``.
    """
    try:
        async with asyncio.timeout_at(until):
            store = await environment.store_server()
    except OSError as error:  # TimeoutError is one
        detail = f"{str(error) or 'no answer in time'}; busbar retries"
        raise Refused(detail, reason=UNAVAILABLE, permanent=False) from error
    if not store:
        return
    proof = await _proof_of_identity(session, store)
    if proof is not None:
        raise Refused(
            f"{session.cluster.label} is the one that busbar keeps its events in ({proof}), and a "
            "long transaction in any database there would delay every service: make another "
            f"cluster and store its URL as {session.cluster.reference}"
        )


async def _proof_of_identity(session: Session, store: Mapping[str, str]) -> str | None:
    """Return what shows that both are one server, or None if they are not."""
    if SYSTEM in store:
        system = await _system_identifier(session)
        if system is not None:
            return f"system identifier {system}" if system == store[SYSTEM] else None
    rows = await session.fetch(_START_AND_OID, store[DATABASE])
    for row in rows:
        if (row[STARTED], row[OID]) == (store[STARTED], store[OID]):
            return "the same start, and the same database in it"
    return None


async def _system_identifier(session: Session) -> str | None:
    try:
        (row,) = await session.fetch(_SYSTEM_IDENTIFIER)
    except (Refused, BackendUnavailable) as error:
        if sqlstate_of(error.__cause__ or error) == INSUFFICIENT_PRIVILEGE:
            return None
        raise
    return str(row["id"])
