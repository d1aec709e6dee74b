"""Removes the protections one by one: the harness must see lost or duplicated effects.

``python -m faults.sabotage inbox`` runs a scenario as it is and then without the inbox, and reports
what did not hold in each. Nothing of this is a switch in the product.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.backends.port import Call
from busbar.kernel.ids import operation_key
from busbar.messages.authority import Authority, Key
from busbar.messages.envelope import Envelope
from busbar.messages.signing import Signature
from busbar.policy.domain import Unverified, callers
from busbar.policy.handlers import Policy
from busbar.provisioner.domain import commands
from busbar.provisioner.domain.state import Saga
from busbar.runtime.consume.service import Received
from busbar.runtime.secrets.subjects import SubjectKeys
from busbar.runtime.store import Claim
from busbar.runtime.store.parts.inbox import Inbox
from busbar.runtime.store.parts.tasks import Tasks
from busbar.runtime.store.schema import tables
from busbar.runtime.store.sql.sqlite import SqliteStatements
from busbar.runtime.store.sql.statements import Release
from busbar.testing.memory import MemoryBackend
from faults.bus import Loss
from faults.scenarios import ALL
from faults.simulation import Simulation, simulated
from faults.verdict import judge

_RELEASE = "UPDATE tasks SET holder = NULL, expires = NULL, due = ? WHERE kind = ? AND name = ?"
Found = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Sabotage:
    """A protection to remove, and where that has to show."""

    scenario: str
    seeds: Sequence[int]
    take_away: Callable[[pytest.MonkeyPatch], None]
    disturb: Callable[[Simulation], None] = lambda _: None


def _no_inbox(patch: pytest.MonkeyPatch) -> None:
    """Every event is new, however often it came."""

    async def first_seen(
        _inbox: Inbox, _consumer: str, identities: Mapping[tuple[str, str], str]
    ) -> dict[tuple[str, str], str | None]:
        return dict.fromkeys(identities)

    patch.setattr(Inbox, "first_seen", first_seen)


def _no_epochs(patch: pytest.MonkeyPatch) -> None:
    """Let every former lease holder write."""

    async def if_held(tasks: Tasks, statement: Any, claim: Any) -> bool:
        await tasks._connection.execute(
            statement.where(tables.tasks.c.kind == claim.kind, tables.tasks.c.name == claim.name)
        )
        return True

    async def held(_tasks: Tasks, claims: Collection[Claim]) -> list[Claim]:
        return list(claims)

    async def release(
        _bulk: SqliteStatements, connection: AsyncConnection, releases: Sequence[Release]
    ) -> int:
        for one in releases:
            row = one.again, one.kind, one.name
            await connection.exec_driver_sql(_RELEASE, row)
        return len(releases)

    patch.setattr(Tasks, "_if_held", if_held)
    patch.setattr(Tasks, "held", held)
    patch.setattr(SqliteStatements, "release", release)


def _no_marks(patch: pytest.MonkeyPatch) -> None:
    """Take everything with the name for ours."""

    def claiming(
        act: Callable[[MemoryBackend, Call], Awaitable[Any]],
    ) -> Callable[[MemoryBackend, Call], Awaitable[Any]]:
        async def claimed(backend: MemoryBackend, call: Call) -> Any:
            thing = backend.world.things.get(str(call.inputs.get("name")))
            if thing is not None:
                thing.owner = call.owner
            return await act(backend, call)

        return claimed

    for name in ("observe", "apply", "remove"):
        patch.setattr(MemoryBackend, name, claiming(getattr(MemoryBackend, name)))


def _no_key(patch: pytest.MonkeyPatch) -> None:
    """Each attempt calls itself something else."""

    def key(saga: Saga, step: str, action: str) -> str:
        attempt = f"{action}/{saga.failures}"
        return operation_key(saga.intent.resource, step, saga.intent.generation, attempt)

    patch.setattr(commands, "_key", key)


def _no_second_look(patch: pytest.MonkeyPatch) -> None:
    """End an operation although an unanswered call may still be carried out."""
    patch.setattr(commands, "_settle", lambda _state, _saga: None)


def _no_revocation(patch: pytest.MonkeyPatch) -> None:
    """Accept a key whether or not it was revoked."""
    before = callers._key_of

    def key_of(known: Authority, signature: Signature) -> Key | Unverified:
        key = known.keys.get(signature.key_id)
        return key if key is not None else before(known, signature)

    patch.setattr(callers, "_key_of", key_of)


def _no_destruction(patch: pytest.MonkeyPatch) -> None:
    """Announce an erasure that did not happen."""

    async def erase(_keys: SubjectKeys, _subject: str, *, operation: str) -> bool:
        return bool(operation)

    patch.setattr(SubjectKeys, "erase", erase)


def _no_seal(patch: pytest.MonkeyPatch) -> None:
    """Let policy keep what producers have published in clear."""

    async def in_clear(_policy: Policy, event: Received[Any]) -> Envelope:
        return event.envelope

    patch.setattr(Policy, "_sealed", in_clear)


def _no_time(patch: pytest.MonkeyPatch) -> None:
    """Seal what is read late as if it were new."""
    before = SubjectKeys.ensure

    async def ensure(
        keys: SubjectKeys,
        wanted: Collection[str],
        *,
        at: datetime | None = None,  # noqa: ARG001 - that is the point
    ) -> dict[str, bytes]:
        return await before(keys, wanted)

    patch.setattr(SubjectKeys, "ensure", ensure)


def _lose_answers(simulation: Simulation) -> None:
    """The bus takes everything twice."""
    simulation.broker.losses = [Loss.ANSWER, None] * 20


SABOTAGES = {
    "inbox": Sabotage("apply", (1,), _no_inbox, _lose_answers),
    "epoch": Sabotage("clock-jumps", (1, 2, 3, 4), _no_epochs),
    "mark": Sabotage("occupied-apply", (1,), _no_marks),
    "key": Sabotage("late-apply", (1,), _no_key),
    "revocation": Sabotage("key-rotation", (1,), _no_revocation),
    "destroyed-key": Sabotage("erasure", (1,), _no_destruction),
    "seal": Sabotage("erasure", (1,), _no_seal),
    "time-of-sealing": Sabotage("erasure", (1,), _no_time),
    "second-look": Sabotage("hanging-create", (1,), _no_second_look),
}


def run(sabotage: Sabotage) -> Found:
    """Return the violations when the scenario runs under each of the seeds."""
    found: dict[str, list[str]] = {}
    for seed in sabotage.seeds:
        root = Path(tempfile.mkdtemp(prefix="busbar-sabotage-"))
        try:
            simulation = Simulation(ALL[sabotage.scenario], seed=seed, root=root)
            with simulated():
                simulation.prepare()
                sabotage.disturb(simulation)
                simulation.run(simulation.scenario.asked)
                for column, sentences in judge(simulation).sentences().items():
                    if sentences:
                        found.setdefault(column, []).extend(sentences)
        finally:
            shutil.rmtree(root, ignore_errors=True)
    return found


def both(name: str) -> dict[str, Found]:
    """The same runs as they are, and with the thing taken away."""
    sabotage = SABOTAGES[name]
    as_it_is = run(sabotage)
    with pytest.MonkeyPatch.context() as patch:
        sabotage.take_away(patch)
        return {"as_it_is": as_it_is, "sabotaged": run(sabotage)}


if __name__ == "__main__":
    chosen = sys.argv[1:] or list(SABOTAGES)
    sys.stdout.write(json.dumps({name: both(name) for name in chosen}, indent=2) + "\n")
    sys.stdout.flush()
    # The loops of the simulated processes are left as they are: nothing of them may run on.
    os._exit(0)
