"""What there is: the database, its owner, the mark. Nothing here changes anything."""

from dataclasses import dataclass
from typing import Any, Final

from busbar.backends.port import Presence
from busbar.backends.postgres.errors import refused
from busbar.backends.postgres.inputs import Target
from busbar.backends.postgres.mark import Mark, is_mark, owner_digest, read_mark
from busbar.backends.postgres.session import Session

_LOOK: Final = """
SELECT d.oid IS NOT NULL AS exists,
       coalesce(d.datconnlimit = -2, false) AS broken,
       coalesce(d.datallowconn, false) AS open,
       coalesce(has_database_privilege('public', d.oid, 'CONNECT'), false) AS public,
       holder.rolname AS holder,
       shobj_description(holder.oid, 'pg_authid') AS holder_comment,
       coalesce(holder.rolcanlogin, false) AS login,
       coalesce(holder.rolconnlimit, -1) AS connection_limit,
       named.rolname AS named,
       shobj_description(named.oid, 'pg_authid') AS named_comment
  FROM (SELECT $1::text AS database, $2::text AS role) AS asked
  LEFT JOIN pg_database d ON d.datname = asked.database
  LEFT JOIN pg_roles named ON named.rolname = asked.role
  LEFT JOIN pg_roles holder ON holder.oid = coalesce(d.datdba, named.oid)
"""
"""``datconnlimit = -2``: a DROP DATABASE was interrupted; it can only be dropped again."""

_AVAILABLE: Final = """
SELECT e.name
  FROM pg_available_extensions e
  JOIN pg_available_extension_versions v ON v.name = e.name AND v.version = e.default_version
 WHERE e.name = ANY($1::text[]) AND (v.trusted OR NOT v.superuser)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The database ``name`` and the role that owns it, or is to own it, as ``owner`` sees them."""

    presence: Presence
    detail: str
    exists: bool
    broken: bool
    open: bool
    public: bool
    """Everybody may connect: the end of its making is missing."""
    holder: str | None
    """Who owns the database; if there is none, the role that is to own it, once that is there."""
    login: bool
    connection_limit: int
    mark: Mark | None
    """The holder's, if it is ours."""
    another: str | None
    """The other database that the role belongs to, by our own mark."""


async def look(session: Session, target: Target, *, owner: str) -> Seen:
    """What is there under the names of ``target``."""
    (row,) = await session.ask(_LOOK, target.database, target.role)
    mark = _ours(row["holder_comment"], owner)
    another = mark.database if mark is not None and mark.database != target.database else None
    own = mark if another is None else None
    presence, detail = _presence(row, target, own=own, another=another)
    return Seen(
        presence=presence,
        detail=detail,
        exists=row["exists"],
        broken=row["broken"],
        open=row["open"],
        public=row["public"],
        holder=row["holder"],
        login=row["login"],
        connection_limit=row["connection_limit"],
        mark=own,
        another=another,
    )


async def own_role(session: Session, target: Target, *, owner: str) -> Mark | None:
    """The mark of the role that ``target`` names, if it is ours and for this database."""
    (row,) = await session.ask(_LOOK, target.database, target.role)
    mark = _ours(row["named_comment"], owner)
    return mark if mark is not None and mark.database == target.database else None


async def installed(session: Session, database: str) -> frozenset[str]:
    """The extensions that the database has."""
    rows = await session.ask("SELECT extname FROM pg_extension", database=database)
    return frozenset(row["extname"] for row in rows)


async def require_available(session: Session, extensions: frozenset[str]) -> None:
    """Make sure that the cluster has ``extensions``.

    Raises:
        Refused: some of them are not there, or not trusted.
    """
    if not extensions:
        return
    rows = await session.ask(_AVAILABLE, sorted(extensions))
    missing = sorted(extensions - {row["name"] for row in rows})
    if missing:
        raise refused(
            f"{session.cluster.place} does not have {', '.join(missing)} as trusted extension(s): "
            "do without, or have its administrator install the package"
        )


def _ours(comment: str | None, owner: str) -> Mark | None:
    mark = read_mark(comment)
    return mark if mark is not None and mark.owner == owner_digest(owner) else None


def _presence(
    row: Any, target: Target, *, own: Mark | None, another: str | None
) -> tuple[Presence, str]:
    if row["holder"] is None and not row["exists"]:
        return Presence.ABSENT, ""
    if own is not None:
        return Presence.OURS, "" if row["exists"] else "the database is yet to be made"
    if another is not None and not row["exists"]:
        return Presence.ABSENT, f"the role {target.role} is ours, but for the database {another}"
    what = f"the database {target.database}" if row["exists"] else f"the role {target.role}"
    foreign = another is not None or is_mark(row["holder_comment"])
    whose = "carries the mark of another owner" if foreign else "has no mark of busbar"
    return Presence.FOREIGN, f"{what} exists and {whose}: choose another name, or adopt it (ADR 11)"
