"""Every fold of the product over streams that were stored: how each service reads its past."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from pydantic import ValidationError

from busbar.audit.domain import StateAt
from busbar.audit.handlers import record_of
from busbar.kernel.clock import format_time, parse_time
from busbar.messages import topics
from busbar.messages.base import Fact, Message
from busbar.messages.catalogue import BY_TYPE
from busbar.messages.views import OperationView, ResourceView, evolve_operation, evolve_resource
from busbar.notifier.domain import SubscriptionState
from busbar.notifier.domain import evolve as evolve_subscription
from busbar.policy.domain import ResourcePolicyState
from busbar.policy.domain import evolve as evolve_policy
from busbar.provisioner.domain import ResourceState
from busbar.provisioner.domain import evolve as evolve_saga
from busbar.runtime.store import StoredEvent

Events = Sequence[StoredEvent]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One fold: over the streams of ``service`` whose names begin with ``streams``.

    ``together`` folds all of them as one history, in the order in which they were stored.
    """

    service: str
    streams: str
    states: Callable[[Events], Iterator[Any]]
    """The state after each event."""
    together: bool = False


def _message(event: StoredEvent) -> Message | None:
    """The typed message of ``event``, read as the store reads it."""
    model = BY_TYPE.get(event.type)
    return model.model_validate_json(event.data) if model else None


def _evolving(evolve: Callable[[Any, Any], Any], initial: Any) -> Callable[[Events], Iterator[Any]]:
    def after(state: Any, event: StoredEvent) -> Any:
        message = _message(event)
        return state if message is None else evolve(state, message)

    def run(events: Events) -> Iterator[Any]:
        found = accumulate(events, after, initial=initial)
        next(found)
        return found

    return run


@dataclass(frozen=True, slots=True)
class Views:
    """The operations and resources that the gateway shows."""

    operations: dict[str, OperationView]
    resources: dict[str, ResourceView]


def _views(events: Events) -> Iterator[Views]:
    """The gateway's views after each of the facts that it kept."""
    views = Views({}, {})
    for event in events:
        model, about = BY_TYPE.get(event.type), json.loads(event.metadata)
        try:
            fact = model.model_validate(json.loads(event.data)) if model else None
        except ValidationError:
            fact = None
        if isinstance(fact, Fact):
            _show(views, fact, time=about["time"], topic=about["topic"])
        yield views


def _show(views: Views, fact: Fact, *, time: str, topic: str) -> None:
    time = format_time(parse_time(time)) if time else ""
    operation, resource = fact.operation_id, fact.resource_id
    if operation is not None:
        done = evolve_operation(views.operations.get(operation), fact, time=time)
        if done is not None:
            views.operations[operation] = done
    if resource is not None and topic == topics.FACTS_RESOURCE:
        thing = evolve_resource(views.resources.get(resource), fact, time=time)
        if thing is not None:
            views.resources[resource] = thing


def _audited(events: Events) -> Iterator[Any]:
    """Every resource as audit shows it after each record of its copy."""
    states: dict[str, StateAt] = {}
    for event in events:
        if event.key is not None:
            states.setdefault(event.key, StateAt(at=None)).take(record_of(event))
        views = (states[name].view for name in sorted(states))
        yield [view for view in views if view is not None]


FOLDS = {
    "policy": Fold(
        service="policy",
        streams="resource/",
        states=_evolving(evolve_policy, ResourcePolicyState()),
    ),
    "provisioner": Fold(
        service="provisioner",
        streams="resource/",
        states=_evolving(evolve_saga, ResourceState()),
    ),
    "notifier": Fold(
        service="notifier",
        streams="subscription/",
        states=_evolving(evolve_subscription, SubscriptionState()),
    ),
    "gateway": Fold(service="gateway", streams="facts/", states=_views, together=True),
    "audit": Fold(service="audit", streams="record/", states=_audited, together=True),
}
