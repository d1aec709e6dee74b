"""The state of a database, its owner and the mark. Nothing here changes anything."""

from dataclasses import dataclass
from typing import Any, Final

from busbar.backends.calls import Refused
from busbar.backends.port import Presence
from busbar.backends.postgres.inputs import Target
from busbar.backends.postgres.mark import DECISION, Mark, is_mark, owner_digest, read_mark
from busbar.backends.postgres.session import Session

_STATE: Final = """
SELECT d.oid IS NOT NULL AS exists,
       coalesce(d.datconnlimit = -2, false) AS broken,
       coalesce(d.datistemplate, false) AS template,
       coalesce(d.datallowconn, false) AS accepts_connections,
       coalesce(d.datconnlimit, -1) AS database_limit,
       coalesce(has_database_privilege('public', d.oid, 'CONNECT'), false) AS public,
       coalesce(has_database_privilege(owner.oid, d.oid, 'CONNECT'), false) AS owner_connects,
       owner.rolname AS owner_role,
       shobj_description(owner.oid, 'pg_authid') AS owner_comment,
       coalesce(owner.rolcanlogin, false) AS login,
       coalesce(owner.rolvaliduntil <> 'infinity', false) AS expires,
       coalesce(pg_has_role(owner.oid, 'USAGE'), false) AS member,
       coalesce(owner.rolconnlimit, -1) AS connection_limit,
       named.rolname AS named_role,
       shobj_description(named.oid, 'pg_authid') AS named_comment
  FROM (SELECT $1::text AS database, $2::text AS role) AS target
  LEFT JOIN pg_database d ON d.datname = target.database
  LEFT JOIN pg_roles named ON named.rolname = target.role
  LEFT JOIN pg_roles owner ON owner.oid = coalesce(d.datdba, named.oid)
"""
"""``datconnlimit = -2``: a DROP DATABASE was interrupted; it can only be dropped again."""

_TRUSTED_EXTENSIONS: Final = """
SELECT e.name
  FROM pg_available_extensions e
  JOIN pg_available_extension_versions v ON v.name = e.name AND v.version = e.default_version
 WHERE e.name = ANY($1::text[]) AND (v.trusted OR NOT v.superuser)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseState:
    """A database and the role that owns it, or is to own it, as the call's owner sees them."""

    presence: Presence
    detail: str
    exists: bool
    broken: bool
    template: bool
    """Its owner has made it a template, which cannot be dropped."""
    accepts_connections: bool
    database_limit: int
    """The maximum number of connections to the database; -1 if there is none, as we ask."""
    owner_connects: bool
    """The owner has the privilege to connect."""
    public: bool
    """Every role may connect: the database was created, but not completed."""
    owner_role: str | None
    """The owner of the database; without a database, the role that is to own it if it exists."""
    login: bool
    expires: bool
    """The role's password is valid for some time only, or no longer."""
    member: bool
    """The administrator has the rights of the role."""
    connection_limit: int
    mark: Mark | None
    """The owner role's mark, if it is ours."""
    other_database: str | None
    """The other database that the role belongs to, by our own mark."""

    @property
    def usable(self) -> bool:
        """True if the database exists, and was not dropped halfway."""
        return self.exists and not self.broken

    @property
    def obstacles(self) -> tuple[str, ...]:
        """Everything that keeps the owner from logging in, apart from its password."""
        found = {
            "its owner may not log in": not self.login,
            "its owner's password expires": self.expires,
            "it does not accept connections": self.usable and not self.accepts_connections,
            "the number of connections to it is limited": self.usable and self.database_limit >= 0,
            "its owner lacks the privilege to connect": self.usable and not self.owner_connects,
        }
        return tuple(text for text, present in found.items() if present)


async def observe_database(session: Session, target: Target, *, owner: str) -> DatabaseState:
    """Return the state of the database and the role that ``target`` names."""
    (row,) = await session.fetch(_STATE, target.database, target.role)
    mark = _own_mark(row["owner_comment"], owner)
    other = mark.database if mark is not None and mark.database != target.database else None
    own = mark if other is None else None
    presence, detail = _presence(row, target, own=own, other=other)
    return DatabaseState(
        presence=presence,
        detail=detail,
        exists=row["exists"],
        broken=row["broken"],
        template=row["template"],
        accepts_connections=row["accepts_connections"],
        database_limit=row["database_limit"],
        owner_connects=row["owner_connects"],
        public=row["public"],
        owner_role=row["owner_role"],
        login=row["login"],
        expires=row["expires"],
        member=row["member"],
        connection_limit=row["connection_limit"],
        mark=own,
        other_database=other,
    )


async def named_role_mark(session: Session, target: Target, *, owner: str) -> Mark | None:
    """Return the mark of the role that ``target`` names, if it is ours and for this database."""
    (row,) = await session.fetch(_STATE, target.database, target.role)
    mark = _own_mark(row["named_comment"], owner)
    return mark if mark is not None and mark.database == target.database else None


async def installed_extensions(session: Session, database: str) -> frozenset[str]:
    """Return the extensions that the database has."""
    rows = await session.fetch("SELECT extname FROM pg_extension", database=database)
    return frozenset(row["extname"] for row in rows)


async def require_extensions(session: Session, extensions: frozenset[str]) -> None:
    """Return if the cluster offers all ``extensions``.

    Raises:
        Refused: some of them are not available, or not trusted.
    """
    if not extensions:
        return
    rows = await session.fetch(_TRUSTED_EXTENSIONS, sorted(extensions))
    missing = sorted(extensions - {row["name"] for row in rows})
    if missing:
        raise Refused(
            f"{session.cluster.label} does not have {', '.join(missing)} as trusted extension(s): "
            "do without, or have its administrator install the package"
        )


def _own_mark(comment: str | None, owner: str) -> Mark | None:
    mark = read_mark(comment)
    return mark if mark is not None and mark.owner == owner_digest(owner) else None


def _presence(
    row: Any, target: Target, *, own: Mark | None, other: str | None
) -> tuple[Presence, str]:
    if row["owner_role"] is None and not row["exists"]:
        return Presence.ABSENT, ""
    if own is not None:
        return Presence.OURS, "" if row["exists"] else "the database is not created yet"
    if other is not None and not row["exists"]:
        return Presence.ABSENT, f"the role {target.role} is ours, but for the database {other}"
    what = f"the database {target.database}" if row["exists"] else f"the role {target.role}"
    foreign = other is not None or is_mark(row["owner_comment"])
    whose = "carries the mark of another owner" if foreign else "has no mark of busbar"
    return Presence.FOREIGN, f"{what} exists and {whose} (how to adopt it: {DECISION})"
