"""Makes databases, marks them as ours by their owner, and touches no others."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from busbar.backends.port import (
    UNAVAILABLE,
    BackendUnavailable,
    Call,
    Environment,
    Fencing,
    Observation,
    Outcome,
    Presence,
)
from busbar.backends.postgres.apply import Making, raise_epoch, take_down
from busbar.backends.postgres.credentials import Credentials, lookup
from busbar.backends.postgres.errors import AnswerLost, Refused
from busbar.backends.postgres.inputs import (
    DatabaseInputs,
    InvalidInputs,
    Target,
    read_inputs,
    read_target,
)
from busbar.backends.postgres.isolation import require_apart
from busbar.backends.postgres.observe import Seen, installed, look
from busbar.backends.postgres.session import Cluster, Session, opened, read_cluster

_SHARE: Final = 0.9
"""Of a call's timeout: our own answer, which knows whether anything was sent, has to come before
the caller stops waiting."""

_Act = Callable[[Call, float], Awaitable[Outcome]]


class PostgresDatabaseBackend:
    """The adapter ``postgres-database``.

    Inputs: ``name`` or ``name_parts``, ``connection_limit``, and if wanted ``extensions``,
    ``owner``, ``cluster``, ``credentials`` (:class:`DatabaseInputs`). Outputs: ``name``,
    ``owner``, ``host``, ``port``, ``credentials``, which is a reference and never a value.

    The connection limit changes in place, and extensions are added. Taking an extension away,
    another owner and another reference are ``cannot_change``.

    Session-locked: a call holds an advisory lock on the database's name as long as its connection
    lives, and the server ends a connection that is silent for longer than the call may take. On
    top of it the mark has the highest epoch that acted; a lower one is refused.
    """

    fencing: Fencing = Fencing.SESSION_LOCKED

    def __init__(self, environment: Environment) -> None:
        """Connect for each call; the clusters' URLs are secrets of ``environment``."""
        self._environment = environment

    async def observe(self, call: Call) -> Observation:
        """Look, change nothing. Under a name that no database of ours has nothing is looked for.

        Raises:
            BackendUnavailable: the cluster does not answer, or does not let us in.
        """
        try:
            target = read_target(call.inputs)
        except InvalidInputs as error:
            return Observation(presence=Presence.ABSENT, detail=str(error))
        try:
            cluster = await self._cluster(target)
            async with opened(cluster, until=_deadline(call)) as session:
                return await self._observation(call, target, session)
        except Refused as error:
            raise BackendUnavailable(str(error)) from error
        except AnswerLost as error:  # nothing was changed: it cannot come
            raise BackendUnavailable(str(error)) from error

    async def apply(self, call: Call) -> Outcome:
        """Make role and database with our mark, or change ours."""
        return await _answered(self._apply, call)

    async def remove(self, call: Call) -> Outcome:
        """Drop database and role if they are ours, whoever is connected, and the credentials."""
        return await _answered(self._remove, call)

    async def close(self) -> None:
        """No connection outlives its call."""

    async def _apply(self, call: Call, until: float) -> Outcome:
        inputs = read_inputs(call.inputs)
        cluster = await self._cluster(inputs)
        async with opened(cluster, until=until) as session:
            await require_apart(session, self._environment, until=until)
            await session.lock(inputs.database)
            seen = await look(session, inputs, owner=call.owner)
            _refuse(call, inputs, seen)
            credentials = self._credentials(call, cluster, inputs)
            await Making(session, credentials, call, inputs).run(seen)
        return Outcome.done()

    async def _remove(self, call: Call, until: float) -> Outcome:
        target = read_target(call.inputs)
        cluster = await self._cluster(target)
        async with opened(cluster, until=until) as session:
            await session.lock(target.database)
            seen = await look(session, target, owner=call.owner)
            if seen.presence is Presence.ABSENT:
                return Outcome.done()
            _refuse_foreign_or_late(call, seen)
            await raise_epoch(session, seen, call.epoch)
            credentials = self._credentials(call, cluster, target, seen)
            await take_down(session, credentials, call, target)
        return Outcome.done()

    async def _cluster(self, target: Target) -> Cluster:
        return read_cluster(target.cluster, await lookup(self._environment, target.cluster))

    def _credentials(
        self, call: Call, cluster: Cluster, target: Target, seen: Seen | None = None
    ) -> Credentials:
        """Where they are kept; ``seen`` knows better than ``target`` how they were asked for."""
        role, reference = target.role, target.reference
        if seen is not None and seen.mark is not None:
            role, reference = seen.holder or role, seen.mark.credentials
        return Credentials(
            self._environment,
            cluster,
            reference,
            role=role,
            database=target.database,
            team=call.team,
        )

    async def _observation(self, call: Call, target: Target, session: Session) -> Observation:
        seen = await look(session, target, owner=call.owner)
        if seen.presence is not Presence.OURS:
            return Observation(presence=seen.presence, detail=seen.detail)
        return Observation(
            presence=Presence.OURS,
            ready=seen.exists and seen.open and seen.login and not seen.broken,
            differs=await self._differs(call, session, seen),
            outputs=_outputs(target, seen, session.cluster),
            detail=seen.detail or ("" if seen.open else "it accepts no connections"),
        )

    async def _differs(self, call: Call, session: Session, seen: Seen) -> tuple[str, ...]:
        try:
            inputs = read_inputs(call.inputs)
        except InvalidInputs as error:
            return error.fields  # nothing is like what cannot be; apply() says why
        same = {
            _name_field(inputs): seen.exists and not seen.broken,
            "owner": seen.holder == inputs.role and not seen.public,
            "connection_limit": seen.connection_limit == inputs.connection_limit,
            "extensions": await _extensions_as_asked(session, inputs, seen),
            "credentials": seen.login
            and await self._credentials_as_asked(call, session.cluster, inputs, seen),
        }
        return tuple(field for field, equal in same.items() if not equal)

    async def _credentials_as_asked(
        self, call: Call, cluster: Cluster, inputs: Target, seen: Seen
    ) -> bool:
        if seen.mark is None or seen.mark.credentials != inputs.reference:
            return False
        try:
            credentials = self._credentials(call, cluster, inputs)
            return await credentials.are_stored(seen.mark.fingerprint)
        except Refused:
            return False  # apply() says why


async def _answered(act: _Act, call: Call) -> Outcome:
    try:
        return await act(call, _deadline(call))
    except InvalidInputs as error:
        return Outcome.not_done("invalid_inputs", str(error), permanent=True)
    except Refused as error:
        return error.outcome
    except BackendUnavailable as error:
        return Outcome.not_done(UNAVAILABLE, str(error), permanent=False)
    except AnswerLost as error:
        return Outcome.unknown("answer_lost", str(error))


def _deadline(call: Call) -> float:
    return asyncio.get_running_loop().time() + call.timeout * _SHARE


def _refuse(call: Call, inputs: DatabaseInputs, seen: Seen) -> None:
    """End the call if the database cannot become what ``inputs`` say."""
    if seen.another is not None and seen.presence is Presence.ABSENT:
        raise _cannot_change(
            f"the role {inputs.role} owns the database {seen.another}, and a role owns one: name "
            "another owner"
        )
    _refuse_foreign_or_late(call, seen)
    if seen.holder is not None and seen.holder != inputs.role:
        raise _cannot_change(
            f"the database {inputs.database} belongs to the role {seen.holder}, and what is in it "
            f"would stay so: keep the owner, or ask for a database under another name"
        )
    if seen.mark is not None and seen.mark.credentials != inputs.reference:
        raise _cannot_change(
            f"the credentials of {inputs.database} are stored under {seen.mark.credentials}, where "
            "programs look for them: keep the reference"
        )


def _refuse_foreign_or_late(call: Call, seen: Seen) -> None:
    if seen.presence is Presence.FOREIGN:
        raise Refused(Outcome.not_done("not_ours", seen.detail, permanent=True))
    if seen.mark is not None and seen.mark.epoch > call.epoch:
        detail = f"epoch {call.epoch} is over, {seen.mark.epoch} has acted since"
        raise Refused(Outcome.not_done("fenced", detail, permanent=False))


def _cannot_change(detail: str) -> Refused:
    return Refused(Outcome.not_done("cannot_change", detail, permanent=True))


async def _extensions_as_asked(session: Session, inputs: DatabaseInputs, seen: Seen) -> bool:
    wanted = frozenset(inputs.extensions)
    recorded = frozenset(seen.mark.extensions) if seen.mark is not None else frozenset()
    if not wanted | recorded:
        return True
    if not seen.exists or seen.broken:
        return False
    has = await installed(session, inputs.database)
    return wanted <= has and not (recorded - wanted) & has


def _name_field(target: Target) -> str:
    return "name" if target.name is not None else "name_parts"


def _outputs(target: Target, seen: Seen, cluster: Cluster) -> dict[str, Any]:
    return {
        "name": target.database,
        "owner": seen.holder,
        "host": cluster.host,
        "port": cluster.port,
        "credentials": seen.mark.credentials if seen.mark is not None else target.reference,
    }
