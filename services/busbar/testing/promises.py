"""A promise's plan, carried out by adapters in this process.

It skips everything that the platform adds: no rules, no leases, no retries, no undo.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from busbar.backends.declaration import UNDECLARED
from busbar.backends.port import Backend, Call, Result
from busbar.kernel.errors import ConfigurationError
from busbar.kernel.expressions import resolve, resolve_outputs, truthy
from busbar.kernel.resource import ResourceId
from busbar.messages.plan import PlanStep
from busbar.policy.adapters import load_promises

_TIMEOUT_SECONDS = 10.0


class PromiseNotMet(AssertionError):
    """The spec is not valid, or a step did not end as planned; the message says which and why."""


async def apply_promise(
    path: Path,
    *,
    adapters: Mapping[str, Backend],
    spec: Mapping[str, Any] | None = None,
    resource: str | None = None,
) -> dict[str, Any]:
    """Carry out the plan of the newest version in the promise file, and return its outputs.

    ``adapters`` maps the names that the plan uses to backends. ``resource`` is the id
    ``team/environment/promise/name``; by default ``payments/dev/<promise>/example``.

    Raises:
        ConfigurationError: the promise file is not valid.
        ValueError: ``resource`` is not an id.
        PromiseNotMet: the spec is not valid, or a step failed.
    """
    loaded = load_promises([path])
    named = {
        step.adapter
        for promise in loaded.offered.values()
        for version in promise.versions.values()
        for step in version.plan.steps
    }
    declared = {
        name: getattr(adapters.get(name), "declaration", UNDECLARED) for name in sorted(named)
    }
    loaded = load_promises([path], declared)
    for problem in loaded.broken.values():
        raise ConfigurationError(f"{problem}.", fix="Correct the promise file.")
    (promise,) = loaded.offered.values()
    version = promise.newest
    filled = version.with_defaults(dict(spec or {}))
    if violations := version.violations(filled):
        wrong = "; ".join(f"{one.pointer or '/'}: {one.message}; {one.fix}" for one in violations)
        raise PromiseNotMet(f"The spec of {promise.name} is not valid: {wrong}")
    id_ = ResourceId.parse(resource or f"payments/dev/{promise.name}/example")
    outputs: dict[str, Any] = {}
    scope: dict[str, Any] = {
        "resource": {"id": str(id_), **asdict(id_)},
        "spec": filled,
        "steps": outputs,
    }
    for step in version.plan.steps:
        if step.when is None or truthy(step.when, scope):
            outputs[step.name] = await _apply_step(step, str(id_), scope, adapters)
    return resolve_outputs(version.plan.outputs, scope)


async def _apply_step(
    step: PlanStep, resource: str, scope: Mapping[str, Any], adapters: Mapping[str, Backend]
) -> dict[str, Any]:
    if step.adapter not in adapters:
        raise PromiseNotMet(
            f"The step {step.name} needs the adapter {step.adapter}: add it to `adapters`."
        )
    backend = adapters[step.adapter]
    call = Call(
        owner=f"{resource}#{step.name}",
        inputs=resolve(step.inputs, scope),
        operation_key=f"{resource}#{step.name}/1",
        epoch=1,
        timeout=_TIMEOUT_SECONDS,
    )
    outcome = await backend.apply(call)
    if outcome.result is not Result.DONE:
        raise PromiseNotMet(f"The step {step.name} ended as {outcome.reason}: {outcome.detail}.")
    seen = await backend.observe(call)
    if not seen.as_asked:
        raise PromiseNotMet(
            f"The step {step.name} is done, but {step.adapter} observes {seen.presence.value}, "
            f"with a difference in {', '.join(seen.differs) or 'nothing'}."
        )
    return dict(seen.outputs)
