"""The loaded promises as read-only HTTP, which the gateway passes on."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from busbar.backends.declaration import UNDECLARED, AdapterNotLoadable
from busbar.messages.http import (
    PromiseExample,
    PromiseList,
    PromiseStep,
    PromiseVersionView,
    PromiseView,
)
from busbar.messages.plan import PlanStep
from busbar.policy.domain import Promise, Promises
from busbar.policy.domain.promise import PromiseVersion
from busbar.policy.domain.step_checks import Declared
from busbar.runtime.http.server import Receive, Scope, Send, respond

PATH = "/v1/promises"
_PROBLEM = "application/problem+json"


class CatalogueApp:
    """An ASGI application: all promises at ``/v1/promises``, one at ``/v1/promises/<name>``."""

    def __init__(self, promises: Promises, adapters: Declared) -> None:
        views = list(views_of(promises, adapters))
        self._pages: dict[str, Any] = {
            PATH: PromiseList(items=tuple(views)).model_dump(mode="json"),
            **{f"{PATH}/{quote(one.name, safe='')}": one.model_dump(mode="json") for one in views},
        }

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        page = self._pages.get(scope.get("path", ""))
        if scope["type"] != "http":
            return
        if page is None:
            detail = f"there is no {scope['path'].removeprefix('/v1/').replace('/', ' ')}"
            problem = {
                "type": "urn:busbar:problem:not_found",
                "title": "Not Found",
                "status": HTTPStatus.NOT_FOUND,
                "detail": detail,
                "code": "not_found",
                "fix": "`busbar get promises` lists those that there are",
            }
            await respond(send, HTTPStatus.NOT_FOUND, problem, media_type=_PROBLEM)
            return
        await respond(send, HTTPStatus.OK, page)


def views_of(promises: Promises, adapters: Declared) -> Iterator[PromiseView]:
    """Yield the offered and the broken promises by name."""
    for name in sorted({*promises.offered, *promises.broken}):
        if name in promises.offered:
            yield _view(promises.offered[name], adapters)
        else:
            yield PromiseView(id=name, name=name, problem=promises.broken[name])


def _view(promise: Promise, adapters: Declared) -> PromiseView:
    numbered = sorted(promise.versions.values(), key=lambda one: int(one.version[1:]))
    return PromiseView(
        id=promise.name,
        name=promise.name,
        title=promise.title,
        description=promise.description,
        owner=promise.owner,
        versions=tuple(_version(one, adapters) for one in numbered),
    )


def _version(version: PromiseVersion, adapters: Declared) -> PromiseVersionView:
    return PromiseVersionView(
        version=version.version,
        digest=version.digest,
        spec=version.schema,
        steps=tuple(_step(step, adapters) for step in version.plan.steps),
        outputs=tuple(version.plan.outputs),
        examples=tuple(PromiseExample(title=one.title, spec=one.spec) for one in version.examples),
    )


def _step(step: PlanStep, adapters: Declared) -> PromiseStep:
    try:
        declared = adapters.get(step.adapter, UNDECLARED)
    except AdapterNotLoadable:
        declared = UNDECLARED
    return PromiseStep(
        name=step.name,
        adapter=step.adapter,
        when=step.when,
        inputs=step.inputs,
        holds_data=declared.holds_data,
        losses=dict(declared.losses),
    )
