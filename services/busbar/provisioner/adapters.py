"""Adapters by the entry point ``busbar.adapters``, and calls to them."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib.metadata import entry_points
from typing import Protocol

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
from busbar.provisioner.domain import Effect, Remove, ResourceState, Saga
from busbar.provisioner.telemetry import InstrumentedBackend
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()


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


class Outside:
    """Calls ``adapters``, each within its concurrency; whatever they raise becomes an answer."""

    def __init__(self, adapters: Adapters, *, clock: Clock) -> None:
        self._adapters = adapters
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
        return InstrumentedBackend(backend, name, saga=saga, clock=self._clock)

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
