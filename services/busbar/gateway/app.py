"""Wires the gateway."""

import busbar
from busbar.gateway.adapters import HttpAuditReader
from busbar.gateway.handlers import Gateway
from busbar.gateway.routes.application import routes
from busbar.gateway.routes.auth import load_token
from busbar.gateway.routes.backpressure import Limits
from busbar.gateway.routes.middleware import Observed
from busbar.runtime.host.process import App, Context


def create(context: Context) -> App:
    """The gateway with its HTTP."""
    settings = context.settings
    audit = HttpAuditReader(settings.audit_url)
    token = load_token(settings.home, settings.token)
    app = routes(
        context.store,
        audit,
        token=token,
        cipher=context.cipher,
        version=busbar.__version__,
        limits=Limits(intents=settings.intake_backlog, seconds=settings.intake_lag_seconds),
    )
    observed = Observed(app, clock=context.clock)
    return App(service=Gateway().service(), http=observed, close=audit.close)
