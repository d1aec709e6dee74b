"""Wires audit."""

from busbar.audit.adapters import KafkaLog
from busbar.audit.handlers import Audit
from busbar.audit.routes import create_app
from busbar.runtime.host.process import App, Context


def create(context: Context) -> App:
    """Return audit with its read-only HTTP API."""
    log = KafkaLog(context.settings.bootstrap())
    http = create_app(context.store, log, context.cipher)
    return App(service=Audit(context.cipher, context.personal).service(), http=http)
