"""Adapters by the entry point ``busbar.adapters``, and calls to them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib.metadata import entry_points
from typing import Any, Final, Protocol

from busbar.backends.declaration import GROUP
from busbar.backends.port import (
    TIMEOUT,
    UNAVAILABLE,
    AdapterFactory,
    Backend,
    BackendUnavailable,
    Call,
    Environment,
    Fencing,
    Observation,
    Outcome,
    Presence,
    acts_late_seconds,
)
from busbar.kernel.clock import Clock
from busbar.kernel.personal import MASK, hidden
from busbar.provisioner.domain import Effect, Remove, ResourceState, Saga
from busbar.provisioner.telemetry import DEFAULT_CONCURRENCY, InstrumentedBackend
from busbar.runtime.personal import PersonalData
from busbar.runtime.store import StoreUnavailable
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()

ERASED: Final = "erased"
"""The reason of an outcome if personal values of the inputs were erased."""


class Adapters(Protocol):
    """The installed adapters."""

    def find(self, name: str) -> Backend | None:
        """Return the adapter called ``name``, or None if it is not installed."""
        ...


class InstalledAdapters:
    """The adapters of installed packages, constructed with ``environment``."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._loaded: dict[str, Backend] = {}

    def find(self, name: str) -> Backend | None:
        """Return the adapter called ``name``, constructed once, or None if it is not installed."""
        if name in self._loaded:
            return self._loaded[name]
        found = entry_points(group=GROUP, name=name)
        if not found:
            return None
        factory: AdapterFactory = next(iter(found)).load()
        self._loaded[name] = factory(self._environment)
        return self._loaded[name]

    async def close(self) -> None:
        """Close every adapter that was constructed."""
        for adapter in self._loaded.values():
            await adapter.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a call, and what was observed before it and after it."""

    outcome: Outcome
    seen: Observation
    after: Observation | None


class ErasedInputs(Exception):
    """A call cannot be made, since personal values of its inputs were erased."""


class AdapterFailed(Exception):
    """An adapter raised an error about a call with personal values; only its type is named."""


class PersonalBackend:
    """A backend that gets its inputs with personal values in clear.

    What it answers is kept in events and logs, so personal values in it are sealed again, or
    masked where they are part of a longer text.
    """

    def __init__(self, backend: Backend, personal: PersonalData) -> None:
        self._backend = backend
        self._personal = personal
        self.fencing = backend.fencing
        self.acts_late_seconds = acts_late_seconds(backend)
        self.concurrency: int = getattr(backend, "concurrency", DEFAULT_CONCURRENCY)

    async def observe(self, call: Call) -> Observation:
        """Return what the backend observes.

        Raises:
            BackendUnavailable: the backend does not answer, or the keys cannot be reached.
            ErasedInputs: a personal value was erased.
        """
        clear, values = await self._clear(call)
        if not values:
            return await self._backend.observe(clear)
        with _hiding(values):
            seen = await self._backend.observe(clear)
        outputs, detail = hidden(dict(seen.outputs), values), hidden(seen.detail, values)
        return replace(seen, outputs=outputs, detail=_text(detail))

    async def apply(self, call: Call) -> Outcome:
        """Create or update the thing."""
        return await self._change(self._backend.apply, call)

    async def remove(self, call: Call) -> Outcome:
        """Remove the thing."""
        return await self._change(self._backend.remove, call)

    async def close(self) -> None:
        """Close the backend."""
        await self._backend.close()

    async def _change(self, change: Callable[[Call], Awaitable[Outcome]], call: Call) -> Outcome:
        try:
            clear, values = await self._clear(call)
        except ErasedInputs as error:
            return Outcome.not_done(ERASED, str(error), permanent=True)
        except BackendUnavailable as error:
            return Outcome.not_done(UNAVAILABLE, str(error), permanent=False)
        if not values:
            return await change(clear)
        with _hiding(values):
            outcome = await change(clear)
        return replace(outcome, detail=_text(hidden(outcome.detail, values)))

    async def _clear(self, call: Call) -> tuple[Call, Mapping[str, str]]:
        """Return the call with personal values in clear, and their sealed texts by value."""
        try:
            opened = await self._personal.open(call.inputs, call.team)
        except StoreUnavailable as error:
            raise BackendUnavailable(f"the keys of personal data: {error}") from error
        if opened.unreadable:
            raise ErasedInputs(
                f"personal values of subject:{opened.unreadable[0]} in the inputs were erased: "
                "apply the resource with new values, or release it"
            )
        return (replace(call, inputs=opened.tree) if opened.values else call), opened.values


@contextmanager
def _hiding(values: Mapping[str, str]) -> Iterator[None]:
    """Keep personal values out of the errors that an adapter raises."""
    try:
        yield
    except TimeoutError:
        raise
    except BackendUnavailable as error:
        raise BackendUnavailable(_text(hidden(str(error), values))) from None
    except Exception as error:  # noqa: BLE001 - an adapter may raise anything
        raise AdapterFailed(type(error).__name__) from None


def _text(hidden_text: Any) -> str:
    """Return the text; one that was a personal value as a whole is masked."""
    return hidden_text if isinstance(hidden_text, str) else MASK


class Outside:
    """Calls ``adapters``, each within its concurrency; whatever they raise becomes an answer."""

    def __init__(self, adapters: Adapters, personal: PersonalData, *, clock: Clock) -> None:
        self._adapters = adapters
        self._personal = personal
        self._clock = clock
        self._slots: dict[str, asyncio.Semaphore] = {}

    def find(self, name: str, saga: Saga | None) -> InstrumentedBackend | Outcome:
        """Return the adapter called ``name``, or why there is none."""
        try:
            backend = self._adapters.find(name)
        except Exception as error:
            log.exception("adapter_not_loaded", adapter=name)
            detail = f"the adapter {name} cannot be loaded: {type(error).__name__}"
            return Outcome.not_done("adapter_failed", detail, permanent=False)
        if backend is None:
            detail = (
                f"the adapter {name} is not installed: install the package that provides it "
                "(entry point group busbar.adapters)"
            )
            return Outcome.not_done("no_adapter", detail, permanent=True)
        with_clear_inputs = PersonalBackend(backend, self._personal)
        return InstrumentedBackend(with_clear_inputs, name, saga=saga, clock=self._clock)

    def slot(self, name: str, backend: InstrumentedBackend) -> asyncio.Semaphore:
        """Return what limits the concurrent effects in the adapter called ``name``."""
        if name not in self._slots:
            self._slots[name] = asyncio.Semaphore(backend.concurrency)
        return self._slots[name]


async def observe(backend: Backend, call: Call, adapter: str) -> Observation | Outcome:
    """Return the observation by ``backend``, called ``adapter``, or the failure to observe."""
    try:
        async with asyncio.timeout(call.timeout):
            return await backend.observe(call)
    except ErasedInputs as error:
        return Outcome.not_done(ERASED, str(error), permanent=True)
    except BackendUnavailable as error:
        return Outcome.not_done(UNAVAILABLE, str(error) or "no answer", permanent=False)
    except TimeoutError:
        return Outcome.not_done(UNAVAILABLE, no_answer(adapter, call), permanent=False)
    except OSError as error:  # its text has addresses, which may come from a secret
        detail = f"the backend does not answer ({type(error).__name__})"
        return Outcome.not_done(UNAVAILABLE, detail, permanent=False)
    except Exception as error:
        log.exception("adapter_failed", owner=call.owner)
        detail = f"the adapter could not observe: {type(error).__name__}"
        return Outcome.not_done("adapter_failed", detail, permanent=False)


def no_answer(adapter: str, call: Call) -> str:
    """Return the sentence about a call that outlasted its time."""
    return f"the adapter {adapter} did not answer within {call.timeout:g} seconds"


async def act(backend: Backend, command: Effect, call: Call) -> Outcome:
    """Call the backend to carry out ``command``; an error says nothing about the outside world."""
    change = backend.remove if isinstance(command, Remove) else backend.apply
    try:
        async with asyncio.timeout(call.timeout):
            return await change(call)
    except TimeoutError:
        return Outcome.unknown(TIMEOUT, no_answer(command.adapter, call))
    except Exception as error:
        log.exception("adapter_failed", adapter=command.adapter)
        return Outcome.unknown("adapter_failed", type(error).__name__)


async def observe_previous(
    backend: Backend, call: Call, state: ResourceState, command: Effect, seen: Observation
) -> Observation | Outcome | None:
    """Observe with the inputs applied before, if the new ones may name a different thing."""
    before = state.previously(command.step)
    if before is None or before.inputs == command.inputs:
        return None
    if seen.presence is not Presence.ABSENT or before.adapter != command.adapter:
        return None
    return await observe(backend, replace(call, inputs=before.inputs), command.adapter)


async def observe_refused(
    backend: Backend, call: Call, seen: Observation, adapter: str
) -> Observation | None:
    """Observe what was refused, since only what changed has to be undone; None if unknown."""
    if seen.presence is not Presence.OURS:
        return None
    now = await observe(backend, call, adapter)
    return None if isinstance(now, Outcome) else now


def settles_at(backend: Backend, now: datetime, timeout: float) -> datetime | None:
    """Return when a call that begins now is certain not to be carried out any more."""
    late = acts_late_seconds(backend)
    if backend.fencing is not Fencing.UNFENCED and not late:
        return None
    return now + timedelta(seconds=timeout + late)
