"""The state of every resource at a time: a fold over the facts that were known by then."""

from collections.abc import Iterable
from typing import Literal

from busbar.audit.domain.records import AuditRecord
from busbar.messages import topics
from busbar.messages.views import ResourceView, evolve_resource


def states(
    records: Iterable[AuditRecord],
    *,
    at: str | None = None,
    by: Literal["recorded", "event"] = "recorded",
) -> list[ResourceView]:
    """Return every resource as of ``at`` (RFC 3339 in UTC), sorted by id.

    ``recorded`` selects by what the platform knew at that time, ``event`` by when it happened.
    Deleted resources are included. A fact that was published twice counts once.
    """
    views: dict[str, ResourceView] = {}
    seen: set[tuple[str, str]] = set()
    for record in records:
        time = record.recorded_time if by == "recorded" else record.time
        late = at is not None and (time is None or time > at)
        if late or record.topic != topics.FACTS_RESOURCE or (record.source, record.id) in seen:
            continue
        fact = record.fact()
        if fact is None or fact.resource_id is None:
            continue
        seen.add((record.source, record.id))
        resource = fact.resource_id
        view = evolve_resource(views.get(resource), fact, time=record.time or "")
        if view is not None:
            views[resource] = view
    return [views[name] for name in sorted(views)]
