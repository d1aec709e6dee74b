"""The port that every backend adapter implements.

An adapter is found by its entry point in the group ``busbar.adapters``: a class whose constructor
takes an :class:`Environment`. The provisioner observes before it acts, acts with a deterministic
operation key and its lease's epoch, and never guesses: what an adapter cannot tell is ``UNKNOWN``
and is established by observing again.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Protocol

from pydantic import SecretStr

from busbar.kernel.errors import ConfigurationError


class Presence(Enum):
    """What is there under the name that the inputs give."""

    ABSENT = "absent"
    OURS = "ours"
    """It carries this owner's mark."""
    FOREIGN = "foreign"
    """It exists without our mark, or under another owner's: it must not be touched."""


class Fencing(Enum):
    """How far the backend can refuse a process that lost its lease."""

    CONDITIONAL = "conditional"
    """Every write checks a version or an epoch."""
    SESSION_LOCKED = "session_locked"
    """A lock of the backend is held while acting."""
    UNFENCED = "unfenced"
    """It cannot; calls are kept shorter than the lease that remains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call to a backend. ``owner`` is what the mark says: the resource and the step."""

    owner: str
    inputs: Mapping[str, Any]
    operation_key: str
    epoch: int
    timeout: float
    """Seconds within which the call has to be over."""

    @property
    def team(self) -> str:
        """The team whose resource it is."""
        return self.owner.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a backend sees. ``differs`` names the inputs that are not as asked for."""

    presence: Presence
    ready: bool = False
    differs: tuple[str, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)
    detail: str = ""

    @property
    def as_asked(self) -> bool:
        """Whether it is there, ours, and like the inputs."""
        return self.presence is Presence.OURS and not self.differs


class Result(Enum):
    """How a call ended, as far as the adapter can tell."""

    DONE = "done"
    NOT_DONE = "not_done"
    UNKNOWN = "unknown"


UNAVAILABLE: Final = "unavailable"
"""The reason of an outcome when the backend does not answer at all: it is given minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of a call. ``permanent`` says that trying again cannot help."""

    result: Result
    reason: str = ""
    """A bounded code: refused, invalid_inputs, unavailable, timeout, not_ours, cannot_change …"""
    detail: str = ""
    """A sentence for people: what the backend said, and what to do. No secrets."""
    permanent: bool = False

    @classmethod
    def done(cls) -> "Outcome":
        """The backend confirmed it."""
        return cls(result=Result.DONE)

    @classmethod
    def not_done(cls, reason: str, detail: str, *, permanent: bool) -> "Outcome":
        """The backend certainly did not do it."""
        return cls(result=Result.NOT_DONE, reason=reason, detail=detail, permanent=permanent)

    @classmethod
    def unknown(cls, reason: str, detail: str) -> "Outcome":
        """It may or may not have happened."""
        return cls(result=Result.UNKNOWN, reason=reason, detail=detail)


class Backend(Protocol):
    """Makes one kind of thing. Every method is safe to repeat with the same call.

    An adapter may set ``concurrency``: the number of effects that one process runs in it
    concurrently (32 if it is not set).
    """

    fencing: Fencing

    async def observe(self, call: Call) -> Observation:
        """Look, change nothing.

        Raises:
            BackendUnavailable: the backend does not answer.
        """
        ...

    async def apply(self, call: Call) -> Outcome:
        """Make it exist with our mark and like the inputs; called if absent, or ours and other."""
        ...

    async def remove(self, call: Call) -> Outcome:
        """Make it be absent; must touch nothing that does not carry our mark."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class BackendUnavailable(Exception):
    """The backend does not answer; nothing was changed."""


async def _cannot_store(reference: str, _value: SecretStr, _team: str | None) -> None:
    raise ConfigurationError(
        f"Nothing here can store {reference}.", fix="Give the provisioner a place for secrets."
    )


async def _cannot_remove(reference: str) -> None:
    raise ConfigurationError(
        f"Nothing here can remove {reference}.", fix="Give the provisioner a place for secrets."
    )


async def _in_files() -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Environment:
    """What an adapter may know of where it runs.

    The callables for secrets raise ``ConfigurationError`` for what people have to mend, and
    ``OSError`` if the place for secrets does not answer.
    """

    kafka_bootstrap: str
    secret: Callable[[str], Awaitable[SecretStr | None]]
    """Looks up ``secret:<name>``."""
    store_secret: Callable[[str, SecretStr, str | None], Awaitable[None]] = _cannot_store
    """Stores a value under ``secret:<name>`` for a team (None: the platform), replacing what it
    had there; durable on return."""
    remove_secret: Callable[[str], Awaitable[None]] = _cannot_remove
    """Removes ``secret:<name>``; absent already is fine."""
    store_server: Callable[[], Awaitable[Mapping[str, str]]] = _in_files
    """What tells the server with busbar's own events from others (``postgres/isolation.py``), and
    nothing if they are in files: no adapter makes anything there. Raises ``OSError``."""


AdapterFactory = Callable[[Environment], Backend]
