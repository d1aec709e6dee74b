"""Assembles the HTTP application from the modules of its resources."""

from fastapi import Depends
from fastapi.routing import APIRoute

from busbar.gateway.routes import (
    audit,
    contract,
    dead_letters,
    events,
    facts,
    operations,
    principals,
    promises,
    resources,
    subscriptions,
)
from busbar.gateway.routes.auth import authenticate
from busbar.gateway.routes.dependencies import Dependencies
from busbar.gateway.routes.openapi import STABILITY, DocumentedApp
from busbar.messages.base import FORMATS
from busbar.runtime.http.problems import install
from busbar.runtime.http.strict import refuse_ignored

MODULES = (
    events,
    operations,
    resources,
    promises,
    principals,
    subscriptions,
    facts,
    dead_letters,
    audit,
    contract,
)


def create_app(*, version: str, dependencies: Dependencies | None = None) -> DocumentedApp:
    """Return the application; without ``dependencies`` it can only describe itself."""
    app = DocumentedApp(
        title="busbar",
        summary="Publish an intent, get a resource, see what happened.",
        description=STABILITY[FORMATS],
        version=version,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    app.state.dependencies = dependencies
    install(app)
    for module in MODULES:
        app.include_router(
            module.router, dependencies=[Depends(authenticate), Depends(refuse_ignored)]
        )
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name
