"""The removal of a database; each step leaves a state from which a retry continues.

They are: role locked, its remains in other databases, database, stored password, role. So the
marked role exists for as long as anything else does, and cannot log in meanwhile.
"""

from typing import Final

from busbar.backends.calls import Refused
from busbar.backends.port import Call, Presence
from busbar.backends.postgres.credentials import Credentials
from busbar.backends.postgres.denials import refuse_if_in_use
from busbar.backends.postgres.dependants import release_elsewhere
from busbar.backends.postgres.errors import Denied
from busbar.backends.postgres.inputs import Target
from busbar.backends.postgres.observe import DatabaseState, named_role_mark, observe_database
from busbar.backends.postgres.session import Session, Statement

_TERMINATE: Final = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
 WHERE usename = $1 AND backend_type = 'client backend'
"""

_LEFT: Final = """
SELECT pid FROM pg_stat_activity WHERE usename = $1 AND backend_type = 'client backend'
"""

_MEMBERS: Final = """
SELECT DISTINCT r.rolname AS name
  FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
 WHERE m.roleid = to_regrole(quote_ident($1)) AND r.rolname <> current_user
"""
"""Roles that may act as the role by ``SET ROLE``, if someone has granted it to them."""

_PREPARED: Final = "SELECT gid, database FROM pg_prepared_xacts WHERE owner = $1 ORDER BY gid"


async def remove_database(
    session: Session, credentials: Credentials, call: Call, target: Target
) -> None:
    """Remove the database, its stored password and its role, as far as they carry our mark.

    Raises:
        Refused: the role owns something else, or PostgreSQL refused a step. The role cannot log in
            any more.
    """
    seen = await observe_database(session, target, owner=call.owner)
    name, role = target.database, target.role
    drop = seen.exists and seen.presence is Presence.OURS
    if drop:
        role = seen.owner_role or role
    elif await named_role_mark(session, target, owner=call.owner) is None:
        return
    await _lock_role(session, role)
    role = await _rename_back(session, role, target.role)
    await release_elsewhere(session, role, database=name)
    if drop:
        await drop_database(session, seen, name)
    for known in (role, target.role):  # a role that was renamed is stored under its first name
        await credentials.of(known).remove()
    await session.execute(("DROP ROLE %I", (role,)), doing=f"drop the role {role}")


async def drop_database(session: Session, seen: DatabaseState, name: str) -> None:
    """Drop the database, which ``seen`` shows to be ours, and close its connections."""
    await session.disconnect(name)
    if seen.template:
        statement: Statement = ("ALTER DATABASE %I IS_TEMPLATE false", (name,))
        await session.execute(statement, doing=f"drop the template {name}")
    drop = "DROP DATABASE %I" if seen.broken else "DROP DATABASE %I WITH (FORCE)"
    try:
        await session.execute((drop, (name,)), doing=f"drop the database {name}")
    except Denied as error:
        await refuse_if_in_use(session, name, error)
        raise


async def record_epoch(session: Session, seen: DatabaseState, epoch: int) -> None:
    """Raise the epoch in the mark, so that lower epochs are refused from now on."""
    if seen.mark is not None and seen.owner_role is not None and seen.mark.epoch < epoch:
        text = seen.mark.model_copy(update={"epoch": epoch}).text()
        await session.execute(
            ("COMMENT ON ROLE %I IS %L", (seen.owner_role, text)),
            doing=f"mark the role {seen.owner_role}",
        )


async def _lock_role(session: Session, role: str) -> None:
    """Let neither the role nor its members act, end its sessions, undo what they prepared."""
    members = [row["name"] for row in await session.fetch(_MEMBERS, role)]
    await session.execute(
        ("ALTER ROLE %I NOLOGIN", (role,)),
        *(("REVOKE %I FROM %I", (role, member)) for member in members),
        ("GRANT %I TO CURRENT_USER", (role,)),  # its rights are needed from here on
        doing=f"lock the role {role}",
    )
    await session.fetch(_TERMINATE, role, doing=f"end the sessions of the role {role}")
    if await session.fetch(_LEFT, role):
        raise Refused(
            f"a session of the role {role} does not end; busbar retries",
            reason="busy",
            permanent=False,
        )
    for prepared in await session.fetch(_PREPARED, role):
        await _roll_back(session, role, prepared["gid"], database=prepared["database"])


async def _rename_back(session: Session, role: str, name: str) -> str:
    """Return ``name``, and give it to ``role``; if another role has it, return ``role``.

    A role that was renamed carries its mark on, but without its database only its name finds it.
    """
    if role == name or await session.fetch("SELECT 1 FROM pg_roles WHERE rolname = $1", name):
        return role
    statement: Statement = ("ALTER ROLE %I RENAME TO %I", (role, name))
    await session.execute(statement, doing=f"rename the role {role} to {name}")
    return name


async def _roll_back(session: Session, role: str, gid: str, *, database: str) -> None:
    """Roll back a prepared transaction, which only its owner may do, and in no transaction."""
    doing = f"roll back what the role {role} has prepared in the database {database}"
    await session.execute(("SET ROLE %I", (role,)), doing=doing, database=database)
    await session.execute(("ROLLBACK PREPARED %L", (gid,)), doing=doing, database=database)
    await session.execute(("RESET ROLE", ()), doing=doing, database=database)
