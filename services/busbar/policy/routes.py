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
from busbar.runtime.http.checks import by_name, check_headers, check_query
from busbar.runtime.http.refusal import MEDIA_TYPE, ProblemError, problem_of
from busbar.runtime.http.server import Receive, Scope, Send, respond

PATH = "/v1/promises"
_METHODS = ("GET", "HEAD")


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
        if scope["type"] != "http":
            return
        try:
            page = self._page(scope)
        except ProblemError as error:
            body = problem_of(error).model_dump()
            await respond(send, error.status, body, media_type=MEDIA_TYPE, headers=error.headers)
            return
        await respond(send, HTTPStatus.OK, page)

    def _page(self, scope: Scope) -> Any:
        """Return what ``scope`` asks for.

        Raises:
            ProblemError: there is no such page, or a part of the request would be ignored.
        """
        path, method = scope["path"], scope["method"]
        if path not in self._pages:
            raise ProblemError(
                HTTPStatus.NOT_FOUND,
                "not_found",
                f"there is no {path.removeprefix('/v1/').replace('/', ' ')}",
                fix="`busbar get promises` lists those that there are",
            )
        if method not in _METHODS:
            raise ProblemError(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "method_not_allowed",
                f"{method} is not allowed on {path}",
                fix="promises are only read here; they come from files",
                headers={"Allow": ", ".join(_METHODS)},
            )
        check_headers(by_name(scope["headers"]), reads_body=False)
        check_query(scope["query_string"], {})
        return self._pages[path]


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
