"""The state of a resource at a time: a fold over the facts that were known by then."""

from typing import Literal

from busbar.audit.domain.recent import Recent
from busbar.audit.domain.records import AuditRecord
from busbar.messages import topics
from busbar.messages.views import ResourceView, evolve_resource

By = Literal["recorded", "event"]

REMEMBERED = 10_000
"""Facts by whose ids a repetition is recognised. A relay that was killed repeats its last batch,
which has 500 at most."""


class StateAt:
    """Folds the facts of one resource, record by record; a fact that comes twice counts once."""

    def __init__(self, *, at: str | None, by: By = "recorded") -> None:
        """Fold what was known or had happened at ``at`` (RFC 3339 in UTC; None is now).

        By ``recorded`` what the platform knew at that time counts, by ``event`` what had happened.
        """
        self.view: ResourceView | None = None
        self._at = at
        self._by = by
        self._seen: Recent[tuple[str, str]] = Recent(REMEMBERED)

    def is_late(self, record_time: str | None) -> bool:
        """Return whether what has this time is later than the state."""
        return self._at is not None and (record_time is None or record_time > self._at)

    def take(self, record: AuditRecord) -> None:
        """Fold ``record`` if it is a fact about a resource."""
        time = record.recorded_time if self._by == "recorded" else record.time
        if self.is_late(time) or record.topic != topics.FACTS_RESOURCE:
            return
        fact = record.fact()
        if fact is None or fact.resource_id is None:
            return
        if self._seen.add((record.source, record.id)):
            self.view = evolve_resource(self.view, fact, time=record.time or "")
