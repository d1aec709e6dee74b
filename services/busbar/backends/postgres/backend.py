"""Creates databases, marks them as ours by their owner, and touches no others."""

from typing import Any, Final

from busbar.backends.calls import InvalidInputs, Refused, observation_of, outcome_of
from busbar.backends.declaration import Declaration
from busbar.backends.port import (
    Call,
    Environment,
    Fencing,
    Observation,
    Outcome,
    Presence,
)
from busbar.backends.postgres.apply import ApplyDatabase
from busbar.backends.postgres.check import open_databases
from busbar.backends.postgres.credentials import Credentials, read_secret
from busbar.backends.postgres.denials import remedies
from busbar.backends.postgres.inputs import DatabaseInputs, Target, read_inputs, read_target
from busbar.backends.postgres.isolation import require_isolated
from busbar.backends.postgres.observe import DatabaseState, installed_extensions, observe_database
from busbar.backends.postgres.remove import record_epoch, remove_database
from busbar.backends.postgres.session import Cluster, Session, open_session, read_cluster
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()


class PostgresDatabaseBackend:
    """The adapter ``postgres-database``.

    Inputs: ``name`` or ``name_parts``, ``connection_limit``, and optionally ``extensions``,
    ``owner``, ``cluster``, ``credentials`` (:class:`DatabaseInputs`). Outputs: ``name``,
    ``owner`` and ``credentials``, which is a reference and never a value. The server's address is
    in the credentials only, since it comes from a secret.

    The connection limit changes in place, and extensions can be added. Removing an extension and
    changing the owner or the reference end as ``cannot_change``.

    Session-locked: a call holds an advisory lock on the database's name until its connection
    closes, and the server closes a connection that is idle for longer than the call may take. In
    addition the mark records the highest epoch that has acted; a lower one is refused.
    """

    fencing: Fencing = Fencing.SESSION_LOCKED
    declaration: Final = Declaration(
        inputs=DatabaseInputs,
        outputs={"name": "string", "owner": "string", "credentials": "string"},
    )

    def __init__(self, environment: Environment) -> None:
        """Connect for each call; the clusters' URLs are secrets of ``environment``."""
        self._environment = environment
        self._checked: set[str] = set()

    async def observe(self, call: Call) -> Observation:
        """Return the state of the database. No database of ours can have an invalid name.

        Raises:
            BackendUnavailable: the cluster does not answer, or refuses the connection.
        """
        return await observation_of(self._observe, call)

    async def apply(self, call: Call) -> Outcome:
        """Create the role and the database with our mark, or update ours."""
        return await outcome_of(self._apply, call)

    async def remove(self, call: Call) -> Outcome:
        """Drop the database, its connections and its role if they are ours, and the secret."""
        return await outcome_of(self._remove, call)

    async def close(self) -> None:
        """Do nothing: connections end with their call."""

    async def _observe(self, call: Call, until: float) -> Observation:
        target = read_target(call.inputs)
        cluster = await self._cluster(target)
        async with open_session(cluster, until=until) as session:
            return await self._observation(call, target, session)

    async def _apply(self, call: Call, until: float) -> Outcome:
        inputs = read_inputs(call.inputs)
        cluster = await self._cluster(inputs)
        async with open_session(cluster, until=until) as session:
            await require_isolated(session, self._environment, until=until)
            await self._warn_if_open(session)
            await session.lock(inputs.database)
            seen = await observe_database(session, inputs, owner=call.owner)
            _require_changeable(call, inputs, seen)
            credentials = self._credentials(call, cluster, inputs)
            async with remedies(session, inputs.role):
                await ApplyDatabase(session, credentials, call, inputs).run(seen)
        return Outcome.done()

    async def _remove(self, call: Call, until: float) -> Outcome:
        target = read_target(call.inputs)
        cluster = await self._cluster(target)
        async with open_session(cluster, until=until) as session:
            await session.lock(target.database)
            seen = await observe_database(session, target, owner=call.owner)
            credentials = self._credentials(call, cluster, target, seen)
            if seen.presence is Presence.ABSENT:
                # Someone else may have dropped database and role: their password is still stored.
                if seen.other_database is None:
                    await credentials.remove()
                return Outcome.done()
            _require_ours(call, seen)
            async with remedies(session, seen.owner_role or target.role):
                await record_epoch(session, seen, call.epoch)
                await remove_database(session, credentials, call, target)
        return Outcome.done()

    async def _cluster(self, target: Target) -> Cluster:
        return read_cluster(target.cluster, await read_secret(self._environment, target.cluster))

    async def _warn_if_open(self, session: Session) -> None:
        """Log once for each cluster which databases teams can connect to besides their own."""
        reference = session.cluster.reference
        if reference in self._checked:
            return
        found = await open_databases(session)
        self._checked.add(reference)
        if found:
            log.warning("databases_open_to_teams", cluster=reference, databases=found)

    def _credentials(
        self, call: Call, cluster: Cluster, target: Target, seen: DatabaseState | None = None
    ) -> Credentials:
        """Return the credentials; the mark in ``seen`` takes precedence over ``target``."""
        role, reference = target.role, target.reference
        if seen is not None and seen.mark is not None:
            role, reference = seen.owner_role or role, seen.mark.credentials
        return Credentials(
            self._environment,
            cluster,
            reference,
            role=role,
            database=target.database,
            team=call.team,
        )

    async def _observation(self, call: Call, target: Target, session: Session) -> Observation:
        seen = await observe_database(session, target, owner=call.owner)
        if await self._is_password_left(call, session.cluster, target, seen):
            return Observation(
                presence=Presence.OURS,
                differs=(_name_field(target),),
                detail="database and role are gone, and only their password is stored",
            )
        if seen.presence is not Presence.OURS:
            return Observation(presence=seen.presence, detail=seen.detail)
        return Observation(
            presence=Presence.OURS,
            ready=seen.usable and not seen.obstacles,
            differs=await self._differs(call, session, seen),
            outputs=_outputs(target, seen),
            detail=seen.detail or ", ".join(seen.obstacles),
        )

    async def _is_password_left(
        self, call: Call, cluster: Cluster, target: Target, seen: DatabaseState
    ) -> bool:
        """Return whether someone else dropped database and role, so that a secret is left."""
        if seen.presence is not Presence.ABSENT or seen.other_database is not None:
            return False
        try:
            return await self._credentials(call, cluster, target).password() is not None
        except Refused:
            return False  # it is not ours, or cannot be read

    async def _differs(self, call: Call, session: Session, seen: DatabaseState) -> tuple[str, ...]:
        try:
            inputs = read_inputs(call.inputs)
        except InvalidInputs as error:
            return error.fields  # apply() explains what is wrong with them
        credentials = not seen.obstacles and await self._credentials_match(
            call, session, inputs, seen
        )
        # Without a login busbar may be unable to look at extensions; apply() looks once it can.
        can_look = seen.usable and seen.member and credentials
        same = {
            _name_field(inputs): seen.usable,
            "owner": seen.owner_role == inputs.role and seen.member and not seen.public,
            "connection_limit": seen.connection_limit == inputs.connection_limit
            and seen.database_limit < 0,
            "extensions": await _extensions_match(session, inputs, seen)
            if can_look
            else seen.usable or not inputs.extensions,
            "credentials": credentials,
        }
        return tuple(field for field, equal in same.items() if not equal)

    async def _credentials_match(
        self, call: Call, session: Session, inputs: Target, seen: DatabaseState
    ) -> bool:
        if seen.mark is None or seen.mark.credentials != inputs.reference:
            return False
        try:
            credentials = self._credentials(call, session.cluster, inputs)
            if not seen.usable:
                return await credentials.match(seen.mark.fingerprint)
            return await credentials.work(session, seen.mark.fingerprint)
        except Refused:
            return False  # apply() explains why


def _require_changeable(call: Call, inputs: DatabaseInputs, seen: DatabaseState) -> None:
    """Return if the database is absent, or ours and able to match ``inputs``."""
    if seen.other_database is not None and seen.presence is Presence.ABSENT:
        raise _cannot_change(
            f"the role {inputs.role} owns the database {seen.other_database}, and a role can own "
            "only one: name another owner"
        )
    _require_ours(call, seen)
    if seen.owner_role is not None and seen.owner_role != inputs.role:
        raise _cannot_change(
            f"the database {inputs.database} belongs to the role {seen.owner_role}, and so do the "
            "objects in it: keep the owner, rename it back if it was renamed, or ask for a "
            "database with another name"
        )
    if seen.mark is not None and seen.mark.credentials != inputs.reference:
        raise _cannot_change(
            f"the credentials of {inputs.database} are stored under {seen.mark.credentials}, where "
            "programs look for them: keep the reference"
        )


def _require_ours(call: Call, seen: DatabaseState) -> None:
    if seen.presence is Presence.FOREIGN:
        raise Refused(seen.detail, reason="not_ours")
    if seen.mark is not None and seen.mark.epoch > call.epoch:
        detail = f"epoch {call.epoch} is over, since epoch {seen.mark.epoch} has acted"
        raise Refused(detail, reason="fenced", permanent=False)


def _cannot_change(detail: str) -> Refused:
    return Refused(detail, reason="cannot_change")


async def _extensions_match(session: Session, inputs: DatabaseInputs, seen: DatabaseState) -> bool:
    wanted = frozenset(inputs.extensions)
    recorded = frozenset(seen.mark.extensions) if seen.mark is not None else frozenset()
    if not wanted | recorded:
        return True
    installed = await installed_extensions(session, inputs.database)
    return wanted <= installed and not (recorded - wanted) & installed


def _name_field(target: Target) -> str:
    return "name" if target.name is not None else "name_parts"


def _outputs(target: Target, seen: DatabaseState) -> dict[str, Any]:
    return {
        "name": target.database,
        "owner": seen.owner_role,
        "credentials": seen.mark.credentials if seen.mark is not None else target.reference,
    }
