"""The next command of an operation: one effect, or its end."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from busbar.kernel.expressions import resolve, resolve_outputs, truthy
from busbar.kernel.ids import operation_key
from busbar.kernel.resource import ResourceId
from busbar.provisioner.domain.state import Applied, ResourceState, Saga, Step
from busbar.provisioner.domain.unsettled import Calls, Unsettled, contrary


@dataclass(frozen=True, slots=True)
class Ensure:
    """Make the step's thing exist as ``inputs`` say; ``restoring`` if that undoes an update."""

    step: str
    adapter: str
    inputs: Mapping[str, Any]
    operation_key: str
    ready_within: float
    restoring: bool = False
    settles_at: datetime | None = None
    """Look again at this time, when no earlier call can be carried out any more."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove the step's thing; ``undoing`` if this operation had created it."""

    step: str
    adapter: str
    inputs: Mapping[str, Any]
    operation_key: str
    undoing: bool = False
    settles_at: datetime | None = None
    """As of :class:`Ensure`."""


@dataclass(frozen=True, slots=True)
class Look:
    """Observe what is there of the step, which stays as it is because of ``reason``."""

    step: str
    adapter: str
    inputs: Mapping[str, Any]
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Record the last fact of an operation: every effect is done."""


Effect = Ensure | Remove
Command = Effect | Look | Finish

READY_AGAIN_SECONDS = 30.0
"""Seconds within which a step that is restored should be ready again."""

FOUND = (
    "found",
    "it existed before the operation, and busbar has no record of its earlier inputs",
)
"""The reason to leave a step that was ours before busbar recorded anything about it."""


def scope(saga: Saga) -> dict[str, Any]:
    """Return the values that expressions of the plan may refer to."""
    resource = ResourceId.parse(saga.intent.resource)
    done = {step.name: dict(step.outputs) for step in saga.steps if step.status == "succeeded"}
    return {
        "resource": {
            "id": str(resource),
            "team": resource.team,
            "environment": resource.environment,
            "promise": resource.promise,
            "name": resource.name,
        },
        "spec": saga.intent.spec,
        "steps": done,
    }


def next_command(state: ResourceState) -> Command | None:
    """Return the next command of the running operation; None if no operation is running.

    Raises:
        TemplateError: an expression of the plan cannot be resolved.
    """
    saga = state.saga
    if saga is None:
        return None
    if saga.phase == "abandon":
        return _look(state, saga)
    if saga.phase == "undo":
        command = _undo(state, saga)
    elif saga.intent.action == "delete":
        command = _remove_unwanted(state, saga, keep=frozenset())
    else:
        command = _apply_plan(state, saga)
    return (_settle(state, saga) or command) if isinstance(command, Finish) else command


def contrary_to(state: ResourceState, command: Effect) -> Calls:
    """Return the calls that may still be carried out and would change what ``command`` makes."""
    inputs = command.inputs if isinstance(command, Ensure) else None
    key = command.operation_key
    return contrary(state.unsettled, command.step, operation_key=key, inputs=inputs)


def needs_newer_epoch(state: ResourceState, command: Effect, epoch: int) -> bool:
    """Return whether an earlier call has the same ``epoch``, so that no backend can refuse it."""
    return any(one.epoch >= epoch for one in contrary_to(state, command))


def _settle(state: ResourceState, saga: Saga) -> Effect | None:
    """Return the command that looks again at a step that a late call may have changed."""
    for call in state.unsettled:
        command = _as_it_is_to_be(state, saga, call)
        if command is None:
            continue
        untils = [one.until for one in contrary_to(state, command) if one.until is not None]
        if contrary_to(state, command):
            return replace(command, settles_at=max(untils) if untils else None)
    return None


def _as_it_is_to_be(state: ResourceState, saga: Saga, call: Unsettled) -> Effect | None:
    """Return the command for the end of the operation about the step of ``call``."""
    step, before = saga.step(call.step), state.previously(call.step)
    undoing = saga.phase == "undo"
    if step is not None and step.status == "left":
        return None
    kept = before if undoing or (step is None and saga.intent.action == "delete") else None
    there = step if step is not None and step.status == "succeeded" else kept
    key = _key(saga, call.step, "settle")
    if there is None:
        return Remove(call.step, call.adapter, call.inputs, key, undoing=True)
    within = READY_AGAIN_SECONDS
    return Ensure(call.step, there.adapter, there.inputs, key, within, restoring=undoing)


def _key(saga: Saga, step: str, action: str) -> str:
    return operation_key(saga.intent.resource, step, saga.intent.generation, action)


def _apply_plan(state: ResourceState, saga: Saga) -> Command:
    known = scope(saga)
    wanted: set[str] = set()
    for planned in saga.intent.plan.steps:
        if planned.when is not None and not truthy(planned.when, known):
            continue
        wanted.add(planned.name)
        touched = saga.step(planned.name)
        if touched is not None and touched.status == "succeeded":
            continue
        return Ensure(
            step=planned.name,
            adapter=planned.adapter,
            inputs=resolve(planned.inputs, known),
            operation_key=_key(saga, planned.name, "apply"),
            ready_within=planned.ready_within_seconds,
        )
    # Before anything is removed: an operation whose outputs cannot be resolved fails as a whole.
    resolve_outputs(saga.intent.plan.outputs, known)
    return _remove_unwanted(state, saga, keep=frozenset(wanted))


def _remove_unwanted(state: ResourceState, saga: Saga, *, keep: frozenset[str]) -> Command:
    """Remove what is applied and not in ``keep``, last created first."""
    for applied in reversed(state.applied):
        touched = saga.step(applied.name)
        gone = touched is not None and touched.status == "undone"
        if applied.name not in keep and not gone:
            return _remove(saga, applied)
    return Finish()


def _remove(saga: Saga, applied: Applied) -> Remove:
    return Remove(
        step=applied.name,
        adapter=applied.adapter,
        inputs=applied.inputs,
        operation_key=_key(saga, applied.name, "remove"),
    )


def _undo(state: ResourceState, saga: Saga) -> Command:
    """Undo what the operation did, last touched first; leave what cannot be undone."""
    for step in reversed(saga.steps):
        command = _undo_step(saga, step, state.previously(step.name))
        if command is not None:
            return command
    return Finish()


def _undo_step(saga: Saga, step: Step, before: Applied | None) -> Command | None:
    if step.status == "left":
        return None
    # A replacement of a thing that had disappeared may have another name: remove it first.
    is_new = before is None or step.inputs != before.inputs
    if is_new and step.created and step.status != "undone":
        return Remove(
            step=step.name,
            adapter=step.adapter,
            inputs=step.inputs,
            operation_key=_key(saga, step.name, "undo"),
            undoing=True,
        )
    if before is None and not step.created and step.status != "undone":
        return Look(step.name, step.adapter, step.inputs, *FOUND)
    if before is not None and step.changed and not _is_restored(step, before):
        return Ensure(
            step=step.name,
            adapter=before.adapter,
            inputs=before.inputs,
            operation_key=_key(saga, step.name, "restore"),
            ready_within=READY_AGAIN_SECONDS,
            restoring=True,
        )
    return None


def _is_restored(step: Step, before: Applied) -> bool:
    return step.status == "succeeded" and step.inputs == before.inputs


def _look(state: ResourceState, saga: Saga) -> Command:
    """Look at what the abandoned operation did and did not undo, last touched first."""
    for step in reversed(saga.steps):
        if not _is_settled(step, state.previously(step.name)):
            return Look(step.name, step.adapter, step.inputs, saga.reason, saga.detail)
    if saga.intent.action == "delete":
        for applied in reversed(state.applied):
            if saga.step(applied.name) is None:
                about = (applied.name, applied.adapter, applied.inputs)
                return Look(*about, saga.reason, saga.detail)
    return Finish()


def _is_settled(step: Step, before: Applied | None) -> bool:
    """Return whether the step is known to be gone, left, or as before."""
    if step.status in {"left", "undone"}:
        return True
    kept = step.status == "succeeded" and not step.changed
    return before is not None and (kept or _is_restored(step, before))
