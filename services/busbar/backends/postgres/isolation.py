"""Keeps databases out of the cluster that holds busbar's own store.

A write transaction that stays open anywhere in that cluster, in any database, holds up the
readers of every service (ADR 12). URLs do not tell clusters apart: one has many names.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import asyncpg
from pydantic import SecretStr

from busbar.backends.port import UNAVAILABLE, BackendUnavailable, Environment, Outcome
from busbar.backends.postgres.errors import TROUBLE, Refused, code_of, refused, words
from busbar.backends.postgres.session import Session

_CONNECT_SECONDS: Final = 3.0
_GOODBYE_SECONDS: Final = 1.0
_NO_RIGHT: Final = "42501"

_SYSTEM: Final = "SELECT system_identifier::text AS id FROM pg_catalog.pg_control_system()"
"""Given at initdb, unlike any other's; a hardened cluster may not let everybody ask."""

_EVERYBODY_MAY: Final = """
SELECT extract(epoch FROM pg_catalog.pg_postmaster_start_time())::text AS started,
       d.oid::text AS oid, d.datname::text AS database
  FROM pg_catalog.pg_database d
 WHERE d.datname = coalesce($1, pg_catalog.current_database())
"""
"""Two servers that started in the same microsecond and gave a database the same number: no."""

SYSTEM, STARTED, DATABASE, OID = "system_identifier", "started", "database", "oid"


async def store_server_at(url: SecretStr) -> Mapping[str, str]:
    """What tells the server of the store at ``url`` from others: for ``Environment``.

    Raises:
        ConnectionError: it does not answer.
    """
    try:
        connection = await asyncpg.connect(url.get_secret_value(), timeout=_CONNECT_SECONDS)
        try:
            (row,) = await connection.fetch(_EVERYBODY_MAY, None)
            facts = {name: row[name] for name in (STARTED, DATABASE, OID)}
            try:
                facts[SYSTEM] = await connection.fetchval(_SYSTEM)
            except asyncpg.InsufficientPrivilegeError:
                return facts
            return facts
        finally:
            await connection.close(timeout=_GOODBYE_SECONDS)
    except TROUBLE as error:
        raise ConnectionError(f"busbar's own database does not answer ({words(error)})") from error


async def require_apart(session: Session, environment: Environment, *, until: float) -> None:
    """Return if the cluster of ``session`` is not the one with busbar's own store.

    Raises:
        Refused: it is, or the store's server does not answer before ``until``.
    """
    try:
        async with asyncio.timeout_at(until):
            store = await environment.store_server()
    except OSError as error:  # TimeoutError is one
        detail = f"{str(error) or 'no answer in time'}; it is tried again"
        raise Refused(Outcome.not_done(UNAVAILABLE, detail, permanent=False)) from error
    if not store:
        return
    proof = await _same(session, store)
    if proof is not None:
        raise refused(
            f"{session.cluster.place} is the one that busbar keeps its events in ({proof}), and a "
            "long transaction in any database there would hold up every service: make another "
            f"cluster and store its URL as {session.cluster.reference}"
        )


async def _same(session: Session, store: Mapping[str, str]) -> str | None:
    """What shows that both are one server, or None."""
    if SYSTEM in store:
        system = await _system(session)
        if system is not None:
            return f"system identifier {system}" if system == store[SYSTEM] else None
    rows = await session.ask(_EVERYBODY_MAY, store[DATABASE])
    for row in rows:
        if (row[STARTED], row[OID]) == (store[STARTED], store[OID]):
            return f"the same start, and the database {row[DATABASE]} in it"
    return None


async def _system(session: Session) -> str | None:
    try:
        (row,) = await session.ask(_SYSTEM)
    except (Refused, BackendUnavailable) as error:
        if code_of(error.__cause__ or error) == _NO_RIGHT:
            return None
        raise
    return str(row["id"])
