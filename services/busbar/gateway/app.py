"""Wires the gateway."""

from busbar.gateway.adapters import HttpAuditReader, HttpPolicyReader
from busbar.gateway.handlers import Gateway
from busbar.gateway.routes.application import create_app
from busbar.gateway.routes.auth import load_token
from busbar.gateway.routes.backpressure import Backpressure, Limits
from busbar.gateway.routes.dependencies import Dependencies
from busbar.gateway.routes.middleware import RequestTelemetry
from busbar.gateway.routes.queries import Queries
from busbar.runtime.core.version import VERSION
from busbar.runtime.host.process import App, Context


def create(context: Context) -> App:
    """Return the gateway with its HTTP API."""
    settings = context.settings
    audit = HttpAuditReader(settings.audit_url)
    policy = HttpPolicyReader(settings.policy_url)
    limits = Limits(intents=settings.intake_backlog, seconds=settings.intake_lag_seconds)
    dependencies = Dependencies(
        store=context.store,
        queries=Queries(context.store),
        backpressure=Backpressure(context.store, limits),
        audit=audit,
        policy=policy,
        token=load_token(settings.home, settings.token),
        cipher=context.cipher,
        personal=context.personal,
    )
    app = create_app(version=VERSION, dependencies=dependencies)
    http = RequestTelemetry(app, clock=context.clock)

    async def close() -> None:
        await audit.close()
        await policy.close()

    return App(
        service=Gateway().service(),
        http=http,
        http_port=settings.gateway_port_number,
        close=close,
    )
