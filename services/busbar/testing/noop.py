"""The adapter ``noop``: it makes nothing, so that a benchmark measures busbar alone.

It stays truthful within one process: it observes what it applied until it removes it. Another
process, or a restarted one, observes nothing and applies again. It passes ``LifecycleContract``,
but not all of ``BackendContract``: each owner has a namespace of its own, so that nothing is
foreign, and without a world there is nothing to refuse a request or to lose an answer.
"""

from typing import Any, Final

from busbar.backends.declaration import Declaration
from busbar.backends.port import Call, Environment, Fencing, Observation, Outcome, Presence

_ABSENT: Final = Observation(presence=Presence.ABSENT)


class NoopBackend:
    """Remembers the inputs of each owner and returns them as outputs; always ready."""

    fencing: Fencing = Fencing.UNFENCED
    concurrency: Final = 256
    declaration: Final = Declaration(holds_data=False)

    def __init__(self, environment: Environment | None = None) -> None:  # noqa: ARG002 - every adapter takes one
        self._applied: dict[str, dict[str, Any]] = {}

    async def observe(self, call: Call) -> Observation:
        """Return what this process applied for the owner."""
        applied = self._applied.get(call.owner)
        if applied is None:
            return _ABSENT
        differs = tuple(
            key
            for key in sorted(applied.keys() | call.inputs.keys())
            if key not in applied or key not in call.inputs or applied[key] != call.inputs[key]
        )
        return Observation(presence=Presence.OURS, ready=True, differs=differs, outputs=applied)

    async def apply(self, call: Call) -> Outcome:
        """Remember the inputs."""
        self._applied[call.owner] = dict(call.inputs)
        return Outcome.done()

    async def remove(self, call: Call) -> Outcome:
        """Forget the inputs."""
        self._applied.pop(call.owner, None)
        return Outcome.done()

    async def close(self) -> None:
        """Do nothing: there is no connection."""
