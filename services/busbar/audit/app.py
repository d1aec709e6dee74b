"""Wires audit."""

from busbar.audit.handlers import Audit
from busbar.audit.kafka_log import KafkaLog
from busbar.audit.routes import routes
from busbar.runtime.host.process import App, Context


def create(context: Context) -> App:
    """Audit with its read-only HTTP."""
    log = KafkaLog(context.settings.bootstrap())
    return App(service=Audit(context.cipher).service(), http=routes(context.store, log))
