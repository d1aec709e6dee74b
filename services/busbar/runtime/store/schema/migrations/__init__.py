"""The history of the PostgreSQL schema: `pre_` runs before a release, `post_` after its rollout.

A `pre_` step only adds, so that the release before still works on it. A `post_` step may take
away what no running release uses any more.
"""

REVISIONS = ("pre_0001", "pre_0002")
"""Every step, oldest first. A step that is not here is a later release's."""

NEEDED = "pre_0002"
"""The step that this release cannot run without."""


def is_before(current: str, needed: str, revisions: tuple[str, ...] = REVISIONS) -> bool:
    """Whether ``current`` is a known step that comes before ``needed``, or no step at all."""
    if current in revisions:
        return revisions.index(current) < revisions.index(needed)
    return current in {"", "None"}


def target(current: str | None, phase: str, revisions: tuple[str, ...] = REVISIONS) -> str | None:
    """How far ``phase`` goes from ``current``: `pre` stops before the next `post_` step."""
    ahead = revisions[revisions.index(current) + 1 :] if current in revisions else revisions
    if current is not None and current not in revisions:
        return None
    reached: str | None = None
    for revision in ahead:
        if phase == "pre" and revision.startswith("post_"):
            break
        reached = revision
    return reached
