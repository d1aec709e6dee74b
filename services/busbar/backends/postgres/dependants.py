"""Remains of a role outside of its own database.

Objects that a role left in a template are dropped: they would be copied into later databases, and
no data of a team belongs there. Privileges are revoked, as far as the administrator may. Everything
else is named, and the role stays: objects in other databases may be wanted.
"""

from collections.abc import Sequence
from typing import Any, Final

from busbar.backends.calls import Refused
from busbar.backends.postgres.session import Session

_ELSEWHERE: Final = """
SELECT d.datname AS database, d.datistemplate AS template, count(*) AS objects
  FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
 WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = to_regrole(quote_ident($1))
   AND d.datname <> $2
 GROUP BY d.datname, d.datistemplate ORDER BY d.datname
"""

_SHARED: Final = """
SELECT s.deptype = 'o' AS owned, pg_describe_object(s.classid, s.objid, s.objsubid) AS name
  FROM pg_shdepend s
 WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = to_regrole(quote_ident($1))
   AND s.dbid = 0
   AND NOT EXISTS (SELECT 1 FROM pg_database d WHERE s.classid = 'pg_database'::regclass
                      AND d.oid = s.objid AND d.datname = $2)
 ORDER BY 2
"""
"""Databases, tablespaces, parameters, and privileges on them."""

_HERE: Final = """
SELECT s.deptype = 'o'
       AND s.classid NOT IN ('pg_default_acl'::regclass, 'pg_user_mapping'::regclass) AS owned,
       pg_describe_object(s.classid, s.objid, s.objsubid) AS name
  FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
 WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = to_regrole(quote_ident($1))
   AND d.datname = current_database()
 ORDER BY 2
"""
"""Default privileges and user mappings only configure the role itself."""

_MAX_NAMES: Final = 10


async def release_elsewhere(session: Session, role: str, *, database: str) -> None:
    """Drop or revoke what the cluster keeps of ``role`` outside of ``database``.

    Raises:
        Refused: something remains that may be wanted, or that the administrator may not change.
            It is named.
    """
    shared = await session.fetch(_SHARED, role, database)
    places = await session.fetch(_ELSEWHERE, role, database)
    kept = [row["name"] for row in shared if row["owned"]]
    for place in places:
        if not place["template"]:
            kept += await _names_in(session, role, place, only_owned=True)
    _require_none(kept, role, database, which="owns")
    for place in places:
        await _drop_owned(session, role, place["database"])
    if shared:
        await _drop_owned(session, role, None)  # privileges on what all databases share
    left = [row["name"] for row in await session.fetch(_SHARED, role, database)]
    for place in await session.fetch(_ELSEWHERE, role, database):
        left += await _names_in(session, role, place, only_owned=False)
    _require_none(left, role, database, which="has privileges on")


def _require_none(names: Sequence[str], role: str, database: str, *, which: str) -> None:
    if not names:
        return
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    raise Refused(
        f"the role {role} {which} objects outside of its database: "
        f"{', '.join(names[:_MAX_NAMES])}{more}. It can no longer log in, and the database "
        f"{database} was not dropped. Have the cluster's administrator drop or reassign the "
        "objects, or revoke the privileges, then delete again"
    )


async def _names_in(session: Session, role: str, place: Any, *, only_owned: bool) -> list[str]:
    """Return the names of what another database keeps of ``role``."""
    database = place["database"]
    try:
        rows = await session.fetch(_HERE, role, database=database)
    except Refused:  # the administrator may not connect
        return [f"{place['objects']} object(s) in the database {database}"]
    await session.disconnect(database)  # a template in use cannot be copied
    return [
        f"{_printable(row['name'])} in the database {database}"
        for row in rows
        if row["owned"] or not only_owned
    ]


def _printable(name: str) -> str:
    """Return ``name``, which its owner has chosen, in one line."""
    return "".join(character if character.isprintable() else "?" for character in name)


async def _drop_owned(session: Session, role: str, database: str | None) -> None:
    place = f"the database {database}" if database else "the cluster"
    await session.execute(
        ("DROP OWNED BY %I", (role,)),
        doing=f"drop what the role {role} has left in {place}",
        database=database,
    )
    if database is not None:
        await session.disconnect(database)  # a template in use cannot be copied
