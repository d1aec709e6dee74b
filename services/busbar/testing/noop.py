"""The adapter ``noop``: nothing is made, so that a benchmark measures busbar alone.

It stays truthful within one process: what was applied is observed, as it was applied, until it is
removed. Another process, or the same one started again, sees nothing of it and applies again.
"""

from typing import Any, Final

from busbar.backends.port import (
    Call,
    Environment,
    Fencing,
    Observation,
    Outcome,
    Presence,
)

_ABSENT: Final = Observation(presence=Presence.ABSENT)


class NoopBackend:
    """Remembers inputs by owner, takes any, gives them back as outputs; always ready."""

    fencing: Fencing = Fencing.UNFENCED
    concurrency: Final = 256

    def __init__(self, environment: Environment) -> None:  # noqa: ARG002 - every adapter takes one
        """Start without anything."""
        self._applied: dict[str, dict[str, Any]] = {}

    async def observe(self, call: Call) -> Observation:
        """What this process applied for the owner."""
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
        """Forget them."""
        self._applied.pop(call.owner, None)
        return Outcome.done()

    async def close(self) -> None:
        """Nothing to let go of."""
