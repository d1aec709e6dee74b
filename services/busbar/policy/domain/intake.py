"""Denials of intents that no decision can be made about: unknown types and invalid data."""

import json
from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ValidationError

from busbar.kernel.resource import ResourceId
from busbar.messages.base import Fact, IntentRef, JsonObject
from busbar.messages.caller import Caller
from busbar.messages.misplaced import misplaced
from busbar.messages.policy import DenialReason, IntentDenied, Violation
from busbar.policy.domain.formatting import pointer
from busbar.policy.domain.model_errors import problems_of
from busbar.policy.domain.spec_errors import MAX_VIOLATIONS

Requested = JsonObject | list[JsonObject] | str | int | float | bool | None

MAX_REQUESTED_LEVELS: Final = 56
"""The levels of a request that a fact repeats; the fact's own levels come on top."""


def violations_of(error: ValidationError, model: type[BaseModel]) -> tuple[Violation, ...]:
    """Return what ``model`` refuses in an intent's data, up to :data:`MAX_VIOLATIONS` errors."""
    problems = problems_of(error, model)[:MAX_VIOLATIONS]
    return tuple(
        Violation(
            rule="invalid_intent",
            message=problem.problem,
            fix=problem.fix,
            pointer=pointer(problem.place),
        )
        for problem in problems
    )


def deny_invalid(
    *,
    operation: UUID,
    intent: IntentRef,
    resource: ResourceId | None,
    requested: Any,
    violations: Iterable[Violation],
    caller: Caller | None = None,
) -> list[Fact]:
    """Deny an intent whose data its type does not allow."""
    denied = _denied(
        "invalid_intent",
        tuple(violations),
        operation=operation,
        intent=intent,
        resource=resource,
        requested=requested,
        caller=caller,
    )
    return [denied]


def deny_unknown_type(
    *,
    operation: UUID,
    intent: IntentRef,
    topic: str,
    resource: ResourceId | None,
    requested: Any,
    caller: Caller | None = None,
) -> list[Fact]:
    """Deny an event of a type that ``topic`` does not take."""
    problem, fix = misplaced(intent.type, topic)
    violation = Violation(rule="unknown_type", message=problem, fix=fix)
    denied = _denied(
        "unknown_type",
        (violation,),
        operation=operation,
        intent=intent,
        resource=resource,
        requested=requested,
        caller=caller,
    )
    return [denied]


def deny_discarded(
    *,
    operation: UUID,
    intent: IntentRef,
    resource: ResourceId | None,
    requested: Any,
    caller: Caller | None,
    by: UUID,
) -> Fact:
    """Deny an intent whose record could not be handled, and is discarded by operation ``by``."""
    violation = Violation(
        rule="discarded",
        message=f"policy could not decide on it, and operation {by} discarded its record",
        fix="send it again under a new id once the cause is fixed",
    )
    return _denied(
        "discarded",
        (violation,),
        operation=operation,
        intent=intent,
        resource=resource,
        requested=requested,
        caller=caller,
    )


def _denied(
    reason: DenialReason,
    violations: tuple[Violation, ...],
    *,
    operation: UUID,
    intent: IntentRef,
    resource: ResourceId | None,
    requested: Any,
    caller: Caller | None,
) -> Fact:
    return IntentDenied(
        operation=operation,
        intent=intent,
        caller=caller,
        resource=str(resource) if resource else None,
        requested=as_requested(requested),
        reason=reason,
        violations=violations,
    )


def as_requested(data: Any) -> Requested:
    """Return ``data`` as a fact can hold them.

    A list of anything but objects becomes its JSON text. So does data whose nesting is so deep that
    a fact around it could not be read.
    """
    is_other_list = isinstance(data, list) and not all(isinstance(item, dict) for item in data)
    if is_other_list or _is_deep(data):
        return json.dumps(data, ensure_ascii=False)
    return data  # type: ignore[no-any-return] # JSON, and not such a list: one of Requested


def _is_deep(data: Any) -> bool:
    level = [data]
    for _ in range(MAX_REQUESTED_LEVELS):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
    return any(isinstance(item, dict | list) for item in level)
