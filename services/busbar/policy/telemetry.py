"""Metrics of policy."""

from typing import Final

from busbar.runtime.telemetry.metrics import LONG, counter, gauge, histogram

BROKEN_PROMISES: Final = gauge(
    "busbar_policy_broken_promises",
    "Promise files that are not offered because something is wrong with them; see "
    "`busbar promises check`.",
)
UNSIGNED: Final = gauge(
    "busbar_policy_unsigned_intents_accepted",
    "1 if intents without a signature are accepted, which is for development only "
    "(BUSBAR_UNSIGNED_INTENTS), else 0.",
)
DECISIONS: Final = counter(
    "busbar_policy_decisions_total",
    "Intents judged, by outcome: `allowed`; `denied`; `expired` before the decision; "
    "`conflicted`, as its id was already used with a different body.",
    "outcome",
)
DECISION_SECONDS: Final = histogram(
    "busbar_policy_decision_seconds",
    "Time from an intent's record on the broker to its decision.",
    buckets=LONG,
)
