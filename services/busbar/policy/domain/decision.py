"""The decision on an intent: allowed with a plan, or denied with the reasons.

``decide`` and ``evolve`` are pure: the same history, intent, catalogue and rules give the same
facts, byte for byte. A denial is a fact and does not change the state.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from busbar.kernel.numbers import normalized
from busbar.kernel.personal import masked
from busbar.kernel.resource import ResourceId
from busbar.kernel.suggest import did_you_mean, listed
from busbar.messages.base import Fact, IntentRef, JsonObject
from busbar.messages.caller import Caller
from busbar.messages.generation import Desired
from busbar.messages.intervention import (
    AbandonOperation,
    Intervention,
    InterventionAllowed,
    ReleaseResource,
    RetryOperation,
)
from busbar.messages.plan import Action, Plan, PromiseRef
from busbar.messages.policy import (
    DenialReason,
    IntentAllowed,
    IntentDenied,
    IntentExpired,
    Violation,
)
from busbar.messages.resource import ApplyResource, DeleteResource
from busbar.policy.domain.engine import Evaluation, PolicyEngine, PolicyRequest
from busbar.policy.domain.intake import as_requested
from busbar.policy.domain.promise import Promises, PromiseVersion

_NOTHING: Final = Plan(steps=())

NOTHING_DESIRED: Final = Desired()

InterventionIntent = RetryOperation | AbandonOperation | ReleaseResource


@dataclass(frozen=True, slots=True)
class ResourcePolicyState:
    """The state of a resource as policy knows it.

    ``generation`` is the number that was given last and never decreases; ``desired`` says which
    one is current; ``promise`` is the promise version of the last intent that was allowed.
    """

    generation: int = 0
    desired: Desired = NOTHING_DESIRED
    promise: PromiseRef | None = None

    @property
    def current(self) -> int:
        """The generation that an intent can expect: 0 while the resource does not exist."""
        return self.desired.generation


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedIntent:
    """An intent that has the form of its message, with the attributes of its envelope.

    ``data`` is the data as received, ``now`` the time of the decision.
    """

    operation: UUID
    intent: IntentRef
    message: ApplyResource | DeleteResource | InterventionIntent
    data: JsonObject
    now: datetime
    expirytime: datetime | None = None
    subject: str | None = None
    caller: Caller | None = None
    forbidden: Violation | None = None
    """The permission that the caller lacks, if any."""
    sealed_spec: JsonObject | None = None
    """The spec with its personal values sealed, as facts hold it; ``message`` has them in clear.
    None if there are none."""

    @property
    def resource(self) -> ResourceId:
        """The resource that the intent is about."""
        message = self.message
        return ResourceId(message.team, message.environment, message.promise, message.name)


@dataclass(frozen=True, slots=True)
class _Refusal:
    """The reasons to deny an intent."""

    reason: DenialReason
    violations: tuple[Violation, ...]
    policies: str | None = None


def evolve(state: ResourcePolicyState, fact: Fact) -> ResourcePolicyState:
    """Return the state after ``fact``: an allowed intent, or the end of its operation."""
    if not isinstance(fact, IntentAllowed):
        return replace(state, desired=state.desired.after(fact))
    return replace(
        state,
        generation=fact.generation,
        desired=state.desired.accept(fact.operation, fact.action, fact.generation),
        promise=fact.promise,
    )


def decide(
    state: ResourcePolicyState,
    received: ReceivedIntent,
    catalogue: Promises,
    engine: PolicyEngine,
) -> list[Fact]:
    """Decide on ``received``: one fact."""
    if received.expirytime is not None and received.now >= received.expirytime:
        return [_expired(received, received.expirytime)]
    message = received.message
    if received.forbidden is not None:
        return [_denied(received, _Refusal("forbidden", (received.forbidden,)))]
    if refusal := _misaddressed(received) or _undeclared(state, received, engine):
        return [_denied(received, refusal)]
    if isinstance(message, DeleteResource):
        return [_decide_delete(state, received, message, engine)]
    if not isinstance(message, ApplyResource):
        return [_decide_intervention(state, received, message)]
    return [_decide_apply(state, received, message, catalogue, engine)]


def _decide_apply(
    state: ResourcePolicyState,
    received: ReceivedIntent,
    message: ApplyResource,
    catalogue: Promises,
    engine: PolicyEngine,
) -> Fact:
    version = _offered(message, catalogue)
    if isinstance(version, _Refusal):
        return _denied(received, version)
    if refusal := _outdated(state, received, message):
        return _denied(received, refusal)
    spec = plain = normalized(version.with_defaults(message.spec))
    shown = None
    if received.sealed_spec is not None:
        spec = normalized(version.with_defaults(received.sealed_spec))
        shown = masked(spec)
    if violations := version.violations(plain, shown=shown):
        return _denied(received, _Refusal("invalid_spec", violations))
    evaluation = _evaluate(engine, received, "apply", {**received.data, "spec": spec})
    if evaluation.denials:
        return _denied(received, _Refusal("rule", evaluation.denials, engine.digest))
    return IntentAllowed(
        operation=received.operation,
        intent=received.intent,
        caller=received.caller,
        resource=str(received.resource),
        requested=received.data,
        action="apply",
        generation=state.generation + 1,
        promise=version.ref,
        spec=spec,
        plan=version.plan,
        policies=engine.digest,
        rules=evaluation.satisfied,
        warnings=evaluation.warnings,
    )


def _decide_delete(
    state: ResourcePolicyState,
    received: ReceivedIntent,
    message: DeleteResource,
    engine: PolicyEngine,
) -> Fact:
    """Decide about a deletion; what is being deleted or is gone can be deleted again.

    The catalogue is not asked: a resource can be deleted after its promise was removed.
    """
    if state.promise is None:
        return _denied(received, _not_found(received, "deleted"))
    if refusal := _outdated(state, received, message):
        return _denied(received, refusal)
    evaluation = _evaluate(engine, received, "delete", received.data)
    if evaluation.denials:
        return _denied(received, _Refusal("rule", evaluation.denials, engine.digest))
    return IntentAllowed(
        operation=received.operation,
        intent=received.intent,
        caller=received.caller,
        resource=str(received.resource),
        requested=received.data,
        action="delete",
        generation=state.generation + 1,
        promise=state.promise,
        spec={},
        plan=_NOTHING,
        policies=engine.digest,
        rules=evaluation.satisfied,
        warnings=evaluation.warnings,
    )


def _decide_intervention(
    state: ResourcePolicyState, received: ReceivedIntent, message: InterventionIntent
) -> Fact:
    """Decide about an intervention; the provisioner knows whether there is anything to do."""
    release = isinstance(message, ReleaseResource)
    if state.promise is None:
        done = "released" if release else "the resource of an operation"
        return _denied(received, _not_found(received, done))
    action: Intervention = "retry" if isinstance(message, RetryOperation) else "abandon"
    return InterventionAllowed(
        operation=received.operation,
        intent=received.intent,
        caller=received.caller,
        resource=str(received.resource),
        requested=received.data,
        action="release" if release else action,
        target=None if isinstance(message, ReleaseResource) else message.operation,
    )


def _evaluate(
    engine: PolicyEngine, received: ReceivedIntent, action: Action, data: JsonObject
) -> Evaluation:
    request = PolicyRequest(action=action, resource=received.resource, data=data)
    return engine.evaluate(request)


def _misaddressed(received: ReceivedIntent) -> _Refusal | None:
    if received.subject is None or received.subject == str(received.resource):
        return None
    return _refusal(
        "other_resource",
        f"the event's subject is {received.subject}, but its data is about {received.resource}",
        "leave the subject out, or set it to the resource in the data",
    )


def _undeclared(
    state: ResourcePolicyState, received: ReceivedIntent, engine: PolicyEngine
) -> _Refusal | None:
    """Return why the environment is refused, if it is.

    What is in an environment that was declared once can still be deleted.
    """
    name, known = received.message.environment, engine.environments.names
    is_known = state.promise is not None
    if name in known or (is_known and not isinstance(received.message, ApplyResource)):
        return None
    fix = did_you_mean(name, known, otherwise=f"declared are: {listed(known)}")
    return _refusal("unknown_environment", f"there is no environment {name}", fix, "/environment")


def _offered(message: ApplyResource, catalogue: Promises) -> PromiseVersion | _Refusal:
    """Return the requested version, or the reasons why there is none."""
    promise = catalogue.offered.get(message.promise)
    if promise is None:
        return _not_offered(message.promise, catalogue)
    if message.version is None:
        return promise.newest
    if message.version in promise.versions:
        return promise.versions[message.version]
    versions = sorted(promise.versions, key=lambda name: int(name[1:]))
    return _refusal(
        "unknown_promise_version",
        f"{promise.name} has no version {message.version}",
        f"request one of: {listed(versions)}; leave version out for the newest",
        "/version",
    )


def _not_offered(name: str, catalogue: Promises) -> _Refusal:
    if problem := catalogue.problem_of(name):
        return _refusal(
            "unknown_promise",
            f"{name} cannot be offered: {problem}",
            "ask the owner of the file to correct it, then send the intent again in a new event",
            "/promise",
        )
    offered = sorted(catalogue.offered)
    fix = did_you_mean(name, offered, otherwise=f"offered are: {listed(offered)}")
    return _refusal("unknown_promise", f"there is no promise {name}", fix, "/promise")


def _outdated(
    state: ResourcePolicyState, received: ReceivedIntent, message: ApplyResource | DeleteResource
) -> _Refusal | None:
    expected = message.expected_generation
    if expected is None or expected == state.current:
        return None
    actual = (
        f"{received.resource} is at generation {state.current}"
        if state.current
        else f"{received.resource} does not exist (generation 0)"
    )
    doing = ""
    if state.desired.pending:
        last = state.desired.pending[-1]
        done = "deleted" if last.action == "delete" else "provisioned"
        doing = f"; it is being {done} by operation {last.operation}"
    return _refusal(
        "generation_mismatch",
        f"{actual}, but generation {expected} was expected{doing}",
        f"look at its current state, then send the intent with expected_generation {state.current}",
        "/expected_generation",
    )


def _not_found(received: ReceivedIntent, done: str) -> _Refusal:
    return _refusal(
        "not_found",
        f"{received.resource} never existed, so it cannot be {done}",
        "check team, environment, promise and name",
        "/name",
    )


def _refusal(reason: DenialReason, message: str, fix: str, pointer: str = "") -> _Refusal:
    violation = Violation(rule=reason, message=message, fix=fix, pointer=pointer)
    return _Refusal(reason, (violation,))


def _denied(received: ReceivedIntent, refusal: _Refusal) -> Fact:
    return IntentDenied(
        operation=received.operation,
        intent=received.intent,
        caller=received.caller,
        resource=str(received.resource),
        requested=as_requested(received.data),
        reason=refusal.reason,
        violations=refusal.violations,
        policies=refusal.policies,
    )


def _expired(received: ReceivedIntent, expiry: datetime) -> Fact:
    return IntentExpired(
        operation=received.operation,
        intent=received.intent,
        caller=received.caller,
        resource=str(received.resource),
        requested=as_requested(received.data),
        expired_at=expiry,
    )
