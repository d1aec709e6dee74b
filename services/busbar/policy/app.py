"""The wiring of the policy service."""

from busbar.backends.declaration import InstalledDeclarations
from busbar.policy import telemetry
from busbar.policy.adapters import load_known, load_rules
from busbar.policy.handlers import Policy
from busbar.policy.routes import CatalogueApp
from busbar.runtime.host.process import App, Context
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()


def create(context: Context) -> App:
    """Create the service from the promise, rule and environment files of this installation.

    Raises:
        ConfigurationError: a rule file is broken; without a rule, too much would be allowed.
    """
    settings = context.settings
    known = load_known(settings.promise_folders(), settings.environments_file())
    telemetry.BROKEN_PROMISES.set(len(known.promises.broken))
    for name, problem in known.promises.broken.items():
        log.error("promise_broken", promise=name, problem=problem)
    rules = load_rules(settings.policies, known)
    log.info(
        "promises_loaded",
        offered=sorted(known.promises.offered),
        environments=list(known.environments.names),
        policies=rules.digest,
    )
    if accepts_unsigned := settings.unsigned_intents == "accept":
        log.warning("unsigned_intents_accepted", setting="BUSBAR_UNSIGNED_INTENTS")
    telemetry.UNSIGNED.set(accepts_unsigned)
    policy = Policy(known.promises, rules, context.personal, accepts_unsigned=accepts_unsigned)
    catalogue = CatalogueApp(known.promises, InstalledDeclarations())
    return App(service=policy.service(), http=catalogue)
