"""Wires audit."""

from busbar.audit.adapters import KafkaLog
from busbar.audit.handlers import Audit
from busbar.audit.routes import routes
from busbar.runtime.host.process import App, Context


def create(context: Context) -> App:
    """Audit with its read-only HTTP."""
    log = KafkaLog(context.settings.bootstrap())
    return App(service=Audit(context.cipher).service(), http=routes(context.store, log))
