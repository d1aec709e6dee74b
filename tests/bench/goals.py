"""The figures and their goals; a missed goal is reported and never an error."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """The least share of the limit, or the most of a value; neither is wanted where both are None.

    ``landing`` is a lower share that was agreed on to begin with.
    """

    share: float | None = None
    landing: float | None = None
    most: float | None = None

    @property
    def text(self) -> str:
        """The goal for people; empty if there is none."""
        if self.share is not None:
            begin = f" (first {self.landing:g})" if self.landing is not None else ""
            return f">= {self.share:g}{begin}"
        return f"<= {self.most:g}" if self.most is not None else ""

    def is_reached(self, *, value: float, ratio: float | None) -> bool | None:
        """Return whether the goal is reached; None without a goal or a limit."""
        if self.share is not None:
            return None if ratio is None else ratio >= self.share
        return None if self.most is None else value <= self.most


GOALS: Mapping[str, Goal] = {
    "engine-noop": Goal(share=0.5),
    "store-append-postgres": Goal(share=0.6),
    "store-append-sqlite": Goal(share=0.6),
    "store-replay-postgres": Goal(share=0.6),
    "store-replay-sqlite": Goal(share=0.6),
    "end-to-end-postgres": Goal(share=0.08, landing=0.04),
    "end-to-end-sqlite": Goal(share=0.08, landing=0.04),
    "end-to-end-signed": Goal(share=0.85),
    "pipeline-bare": Goal(),
    "latency-p50": Goal(most=60),
    "latency-p99": Goal(most=250),
    "saga-bare": Goal(share=0.6),
    "telemetry-cost": Goal(),
    "sign-intent": Goal(most=100),
    "verify-intent": Goal(most=150),
    "rss-service": Goal(most=130),
    "rss-platform": Goal(most=1024),
    "replay-1m-memory": Goal(most=20),
    "replay-100k": Goal(most=30),
    "why-of-10000": Goal(most=1),
    "audit-memory": Goal(most=150),
}
"""Every figure, in the order in which they are measured and shown."""
