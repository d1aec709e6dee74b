"""The removal of a database; each step leaves a state from which a retry continues.

They are: database, stored password, role. So the marked role exists for as long as anything else
does.
"""

from busbar.backends.port import Call, Presence
from busbar.backends.postgres.credentials import Credentials
from busbar.backends.postgres.inputs import Target
from busbar.backends.postgres.observe import DatabaseState, named_role_mark, observe_database
from busbar.backends.postgres.session import Session


async def remove_database(
    session: Session, credentials: Credentials, call: Call, target: Target
) -> None:
    """Remove the database, its stored password and its role, as far as they carry our mark."""
    seen = await observe_database(session, target, owner=call.owner)
    name, role = target.database, seen.owner_role
    if seen.exists and seen.presence is Presence.OURS:
        drop = "DROP DATABASE %I" if seen.broken else "DROP DATABASE %I WITH (FORCE)"
        await session.execute((drop, (name,)), doing=f"drop the database {name}")
    else:
        role = target.role
        if await named_role_mark(session, target, owner=call.owner) is None:
            return
    await credentials.remove()
    await session.execute(("DROP ROLE %I", (role or "",)), doing=f"drop the role {role}")


async def record_epoch(session: Session, seen: DatabaseState, epoch: int) -> None:
    """Raise the epoch in the mark, so that lower epochs are refused from now on."""
    if seen.mark is not None and seen.owner_role is not None and seen.mark.epoch < epoch:
        text = seen.mark.model_copy(update={"epoch": epoch}).text()
        await session.execute(
            ("COMMENT ON ROLE %I IS %L", (seen.owner_role, text)),
            doing=f"mark the role {seen.owner_role}",
        )
