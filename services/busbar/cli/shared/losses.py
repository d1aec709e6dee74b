"""The data that a change would delete, and the question before it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from busbar.cli.shared.confirm import confirm
from busbar.cli.shared.exits import usage
from busbar.cli.shared.files import at_terminal
from busbar.cli.shared.limit import TimeLimit
from busbar.cli.shared.output import errors, plain
from busbar.kernel.expressions import TemplateError, resolve, truthy
from busbar.kernel.resource import ResourceId
from busbar.messages.envelope import Envelope
from busbar.messages.http import PromiseStep, PromiseVersionView, PromiseView
from busbar.messages.resource import ApplyResource, DeleteResource
from busbar.messages.views import ResourceView
from busbar.policy.domain.schema import with_defaults
from busbar.sdk import Client, GatewayProblem

_NOT_FOUND: Final = 404
_GONE: Final = frozenset({"deleted", "released"})

_APPLY: Final = ApplyResource.TYPE
_DELETE: Final = DeleteResource.TYPE

Scope = Mapping[str, Any]


def agree(losses: Sequence[str], *, limit: TimeLimit) -> None:
    """Return if no data would be deleted, or if the person at the terminal agrees.

    The time until the answer does not count towards the ``limit``.

    Raises:
        CommandError: the answer is no, or there is no terminal to ask at.
    """
    if not losses:
        return
    for loss in losses:
        errors().print(f"[yellow]deletes data:[/] {plain(loss)}")
    if not at_terminal():
        raise usage(
            "This deletes data, and there is no terminal to ask for confirmation.",
            fix="Add --yes if that is intended. Nothing was published.",
        )
    confirm("Go on?", yes=False)
    limit.begin()


async def losses_of_deleting(client: Client, resources: Sequence[str]) -> list[str]:
    """Return what is deleted together with ``resources``, a sentence for each step."""
    views = [view for one in resources if (view := await _view(client, one)) is not None]
    if not views:
        return []
    promises = {one.name: one for one in await _promises(client)}
    return [loss for view in views for loss in deleting(view, promises.get(_promise_name(view.id)))]


async def losses_of_publishing(client: Client, events: Sequence[Envelope]) -> list[str]:
    """Return what the intents in ``events`` delete of what exists."""
    models = [(event.type, event.data) for event in events]
    applied = [ApplyResource.model_validate(data) for kind, data in models if kind == _APPLY]
    deleted = [DeleteResource.model_validate(data) for kind, data in models if kind == _DELETE]
    return [
        *await _losses_of_applying(client, applied),
        *await losses_of_deleting(client, [_id(one) for one in deleted]),
    ]


async def _losses_of_applying(client: Client, intents: Sequence[ApplyResource]) -> list[str]:
    views = [await _view(client, _id(one)) for one in intents]
    if not any(views):
        return []
    promises = {one.name: one for one in await _promises(client)}
    found: list[str] = []
    for intent, view in zip(intents, views, strict=True):
        promise = promises.get(intent.promise)
        if view is not None and promise is not None:
            found += applying(view, promise, version=intent.version, spec=intent.spec)
    return found


def deleting(view: ResourceView, promise: PromiseView | None) -> Iterator[str]:
    """Yield what is lost when the resource is deleted; everything if its promise is not known."""
    version = _version(promise, view.promise.get("version"))
    if version is None:
        yield f"{view.id}, with everything in it"
        return
    scope = _scope(view.id, view.spec)
    for step in version.steps:
        if step.holds_data and _runs(step, scope):
            yield f"{view.id}: {_named(step)} is removed, with everything in it"


def applying(
    view: ResourceView, promise: PromiseView, *, version: str | None, spec: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what is lost of the resource when ``spec`` is applied to it."""
    old = _version(promise, view.promise.get("version"))
    new = _version(promise, version or (promise.versions[-1].version if promise.versions else None))
    if old is None or new is None or not view.spec:
        return
    before = _scope(view.id, view.spec)
    after = _scope(view.id, with_defaults(new.spec, new.spec, dict(spec)))
    kept = {(step.name, step.adapter): step for step in new.steps if _runs(step, after)}
    for step in old.steps:
        if not step.holds_data or not _runs(step, before):
            continue
        next_step = kept.get((step.name, step.adapter))
        if next_step is None:
            yield f"{view.id}: {_named(step)} is removed, with everything in it"
            continue
        for name, kind in step.losses.items():
            was, will = _input(step, name, before), _input(next_step, name, after)
            if _loses(kind, was, will):
                change = f"as {name} changes from {was} to {will}"
                yield f"{view.id}: {_named(step)} loses data, {change}"


def _loses(kind: str, was: Any, will: Any) -> bool:
    if kind == "switched on":
        return was is False and will is True
    numbers = all(isinstance(one, int | float) for one in (was, will))
    return kind == "lowered" and numbers and will < was


def _input(step: PromiseStep, name: str, scope: Scope) -> Any:
    try:
        return resolve(step.inputs.get(name), scope)
    except TemplateError:  # it comes from another step, or the spec is not valid
        return None


def _runs(step: PromiseStep, scope: Scope) -> bool:
    """Return whether the step is part of the plan; also if that depends on another step."""
    if step.when is None or step.when.removeprefix("!").startswith("${steps."):
        return True
    return truthy(step.when, scope)


def _scope(resource: str, spec: Mapping[str, Any]) -> Scope:
    team, environment, promise, name = resource.split("/")
    about = {"team": team, "environment": environment, "promise": promise, "name": name}
    return {"resource": {"id": resource, **about}, "spec": spec, "steps": {}}


def _version(promise: PromiseView | None, name: str | None) -> PromiseVersionView | None:
    versions = promise.versions if promise is not None else ()
    return next((one for one in versions if one.version == name), None)


def _named(step: PromiseStep) -> str:
    return f"the step {step.name} ({step.adapter})"


def _id(intent: ApplyResource | DeleteResource) -> str:
    return f"{intent.team}/{intent.environment}/{intent.promise}/{intent.name}"


def _promise_name(resource: str) -> str:
    return ResourceId.parse(resource).promise


async def _view(client: Client, resource: str) -> ResourceView | None:
    """Return the resource, or None if nothing of it exists."""
    try:
        view = await client.resource(resource)
    except GatewayProblem as error:
        if error.status == _NOT_FOUND:
            return None
        raise
    return None if view.status in _GONE else view


async def _promises(client: Client) -> Sequence[PromiseView]:
    """Return the promises; none while policy does not answer, so that everything counts as data."""
    try:
        return await client.promises()
    except GatewayProblem as error:
        if error.status in {404, 502, 503}:
            return ()
        raise
