"""The port that every backend adapter implements.

An adapter is found by its entry point in the group ``busbar.adapters``: a class whose constructor
takes an :class:`Environment`. The provisioner observes before it acts, and acts with a
deterministic operation key and the epoch of its lease. It never guesses: if an adapter cannot say
how a call ended, the result is ``UNKNOWN`` and the provisioner observes again.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Protocol

from pydantic import SecretStr

from busbar.kernel.errors import ConfigurationError


class Presence(Enum):
    """The state of the name that the inputs give."""

    ABSENT = "absent"
    OURS = "ours"
    """It exists and carries this owner's mark."""
    FOREIGN = "foreign"
    """It exists without a mark of ours, or with another owner's: it must not be touched."""


class Fencing(Enum):
    """The backend's ability to refuse a process that has lost its lease."""

    CONDITIONAL = "conditional"
    """Every write checks a version or an epoch."""
    SESSION_LOCKED = "session_locked"
    """The backend holds a lock during the call."""
    UNFENCED = "unfenced"
    """None; calls are kept shorter than the rest of the lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call to a backend. ``owner`` is the content of the mark: the resource and the step."""

    owner: str
    inputs: Mapping[str, Any]
    operation_key: str
    """The same for every attempt at one effect: an idempotency key."""
    epoch: int
    """Grows each time another process takes over the work."""
    timeout: float
    """Seconds until the caller stops waiting."""

    @property
    def team(self) -> str:
        """The team that owns the resource."""
        return self.owner.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The state of one thing. ``differs`` names the inputs that it does not match."""

    presence: Presence
    ready: bool = False
    differs: tuple[str, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)
    detail: str = ""

    @property
    def as_asked(self) -> bool:
        """True if the thing exists, is ours and matches the inputs."""
        return self.presence is Presence.OURS and not self.differs


class Result(Enum):
    """The end of a call, as far as the adapter knows it."""

    DONE = "done"
    NOT_DONE = "not_done"
    UNKNOWN = "unknown"


TIMEOUT: Final = "timeout"
"""Reason of a call that outlasted its time: what it did is unknown."""

UNAVAILABLE: Final = "unavailable"
"""The reason of an outcome if the backend does not answer; the provisioner retries for minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of a call. ``permanent`` means that a retry cannot help."""

    result: Result
    reason: str = ""
    """A bounded code: refused, invalid_inputs, unavailable, timeout, not_ours, cannot_change …"""
    detail: str = ""
    """A sentence for people: the backend's answer and the remedy. No secrets."""
    permanent: bool = False

    @classmethod
    def done(cls) -> "Outcome":
        """The backend confirmed the change."""
        return cls(result=Result.DONE)

    @classmethod
    def not_done(cls, reason: str, detail: str, *, permanent: bool) -> "Outcome":
        """The backend certainly did not change anything."""
        return cls(result=Result.NOT_DONE, reason=reason, detail=detail, permanent=permanent)

    @classmethod
    def unknown(cls, reason: str, detail: str) -> "Outcome":
        """The change may or may not have happened."""
        return cls(result=Result.UNKNOWN, reason=reason, detail=detail)


class Backend(Protocol):
    """Makes one kind of thing. Every method is safe to repeat with the same call.

    An adapter may set ``concurrency``: the number of effects that one process runs in it
    concurrently (32 if it is not set); and ``acts_late_seconds``, see :func:`acts_late_seconds`. It
    should set ``declaration`` (:class:`busbar.backends.declaration.Declaration`), by which promise
    files are checked.
    """

    fencing: Fencing

    async def observe(self, call: Call) -> Observation:
        """Return the state of the thing. Changes nothing.

        Raises:
            BackendUnavailable: the backend does not answer.
        """
        ...

    async def apply(self, call: Call) -> Outcome:
        """Create the thing with our mark, or update it if it is ours."""
        ...

    async def remove(self, call: Call) -> Outcome:
        """Remove the thing if it carries our mark, and nothing else."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


UNFENCED_ACTS_LATE_SECONDS: Final = 60.0
"""How late an unfenced backend may act if its adapter does not say so."""


def acts_late_seconds(backend: Backend) -> float:
    """Return how long after a call the backend may still carry it out, in seconds.

    That is, a call that ended without an answer, although the backend was called with a newer epoch
    since: 0 if the backend refuses older epochs or waits for the lock, also where nothing exists.
    """
    declared: float | None = getattr(backend, "acts_late_seconds", None)
    if declared is not None:
        return declared
    return UNFENCED_ACTS_LATE_SECONDS if backend.fencing is Fencing.UNFENCED else 0.0


class BackendUnavailable(Exception):
    """The backend does not answer; nothing was changed."""


class FindSecret(Protocol):
    """Looks up a secret of one owner."""

    def __call__(self, reference: str, team: str | None = None, /) -> Awaitable[SecretStr | None]:
        """Return the value under ``secret:<name>``, or None if there is none.

        Raises:
            ConfigurationError: it does not belong to ``team`` (None: the platform).
            OSError: the secret store does not answer.
        """
        ...


async def _cannot_store(reference: str, _value: SecretStr, _team: str | None) -> None:
    raise ConfigurationError(
        f"{reference} cannot be stored, since this process has no secret store.",
        fix="Give the adapter an Environment with store_secret.",
    )


async def _cannot_remove(reference: str) -> None:
    raise ConfigurationError(
        f"{reference} cannot be removed, since this process has no secret store.",
        fix="Give the adapter an Environment with remove_secret.",
    )


async def _no_server() -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Environment:
    """The surroundings that an adapter may use.

    The callables for secrets raise ``ConfigurationError`` if an operator has to change something,
    and ``OSError`` if the secret store does not answer.
    """

    kafka_bootstrap: str
    secret: FindSecret
    """Looks up ``secret:<name>`` of a team, or of the platform if none is given: its own
    credentials are what an adapter takes from the platform only."""
    store_secret: Callable[[str, SecretStr, str | None], Awaitable[None]] = _cannot_store
    """Stores a value under ``secret:<name>`` for a team (None: the platform), replacing the
    team's earlier value; durable on return."""
    remove_secret: Callable[[str], Awaitable[None]] = _cannot_remove
    """Removes ``secret:<name>``; succeeds if it is already absent."""
    store_server: Callable[[], Awaitable[Mapping[str, str]]] = _no_server
    """Identifies the server that holds busbar's own events (``postgres/isolation.py``); empty if
    they are in files. Adapters must not create anything on that server. Raises ``OSError``."""


AdapterFactory = Callable[[Environment], Backend]
