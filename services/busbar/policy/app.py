"""The wiring of the policy service."""

from busbar.policy.adapters import load_promises, load_rules
from busbar.policy.handlers import Policy
from busbar.runtime.host.process import App, Context
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()


def create(context: Context) -> App:
    """Create the service from the promise and rule files of this installation.

    Raises:
        ConfigurationError: a rule file is broken; without a rule, too much would be allowed.
    """
    settings = context.settings
    promises = load_promises(settings.promise_folders())
    for name, problem in promises.broken.items():
        log.error("promise_broken", promise=name, problem=problem)
    rules = load_rules(settings.policy_folders())
    log.info("promises_loaded", offered=sorted(promises.offered), policies=rules.digest)
    return App(service=Policy(promises, rules).service())
