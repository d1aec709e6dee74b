"""Settings that load libraries at login: with a library that is missing, every login fails.

An owner may set ``local_preload_libraries`` for its role and for its database.
"""

from typing import Final

from busbar.backends.postgres.session import Session, Statement

_SETTINGS: Final = """
SELECT s.setrole <> 0 AS of_role, s.setdatabase <> 0 AS of_database,
       split_part(setting, '=', 1) AS name
  FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS setting
 WHERE split_part(setting, '=', 1) IN ('local_preload_libraries', 'session_preload_libraries')
   AND ((s.setrole = to_regrole(quote_ident($1))
         AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = $2)))
        OR (s.setrole = 0 AND s.setdatabase = (SELECT oid FROM pg_database WHERE datname = $2)))
"""

_RESETS: Final = {
    (True, True): "ALTER ROLE %1$I IN DATABASE %2$I RESET %3$I",
    (True, False): "ALTER ROLE %1$I RESET %3$I",
    (False, True): "ALTER DATABASE %2$I RESET %3$I",
}


async def reset_preloads(session: Session, role: str, database: str) -> list[Statement]:
    """Return the statements that reset the settings of ``role`` and ``database``."""
    rows = await session.fetch(_SETTINGS, role, database)
    return [
        (_RESETS[row["of_role"], row["of_database"]], (role, database, row["name"])) for row in rows
    ]
