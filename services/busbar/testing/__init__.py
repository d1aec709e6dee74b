"""Suites, fakes and a clock for tests of adapters, promises and services.

The conformance suites need pytest and pytest-asyncio, which ``busbar-platform[testing]`` installs;
nothing else in here does.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from busbar.testing.clock import ManualClock
from busbar.testing.environment import MemorySecrets, make_environment
from busbar.testing.memory import LoseAnswer, LoseRequest, MemoryBackend, MemoryWorld, Refuse
from busbar.testing.noop import NoopBackend
from busbar.testing.waiting import eventually

if TYPE_CHECKING:
    from busbar.testing.contract import (
        BackendContract,
        BackendHarness,
        LifecycleContract,
        LifecycleHarness,
        apply_and_observe,
        is_permanent_refusal,
        make_call,
    )
    from busbar.testing.promises import PromiseNotMet, apply_promise
    from busbar.testing.publisher import RecordingPublisher

__all__ = [
    "BackendContract",
    "BackendHarness",
    "LifecycleContract",
    "LifecycleHarness",
    "LoseAnswer",
    "LoseRequest",
    "ManualClock",
    "MemoryBackend",
    "MemorySecrets",
    "MemoryWorld",
    "NoopBackend",
    "PromiseNotMet",
    "RecordingPublisher",
    "Refuse",
    "apply_and_observe",
    "apply_promise",
    "eventually",
    "is_permanent_refusal",
    "make_call",
    "make_environment",
]

_CONTRACT: Final = "busbar.testing.contract"
_MODULES: Final = {
    "BackendContract": _CONTRACT,
    "BackendHarness": _CONTRACT,
    "LifecycleContract": _CONTRACT,
    "LifecycleHarness": _CONTRACT,
    "PromiseNotMet": "busbar.testing.promises",
    "RecordingPublisher": "busbar.testing.publisher",
    "apply_and_observe": _CONTRACT,
    "apply_promise": "busbar.testing.promises",
    "is_permanent_refusal": _CONTRACT,
    "make_call": _CONTRACT,
}
"""Names that are imported on first use: they need pytest, or much of the platform."""


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if module == _CONTRACT:
        _prepare_pytest(name)
    return getattr(import_module(module), name)


def _prepare_pytest(name: str) -> None:
    """Let pytest explain failed assertions of the suites; it has to know before their import."""
    try:
        pytest = import_module("pytest")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"busbar.testing.{name} needs pytest. Run: pip install 'busbar-platform[testing]'",
            name="pytest",
        ) from error
    pytest.register_assert_rewrite(_CONTRACT)
