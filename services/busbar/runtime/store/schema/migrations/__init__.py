"""Migrations of the PostgreSQL schema: `pre_` runs before a release, `post_` after its rollout.

A `pre_` migration only adds, so that the previous release still works. A `post_` migration may
remove what no running release uses any more.
"""

REVISIONS = ("pre_0001", "pre_0002")
"""Every migration, oldest first. An unknown revision belongs to a later release."""

NEEDED = "pre_0002"
"""The migration that this release requires."""


def is_before(current: str, needed: str, revisions: tuple[str, ...] = REVISIONS) -> bool:
    """Return whether ``current`` is a known revision before ``needed``, or none at all."""
    if current in revisions:
        return revisions.index(current) < revisions.index(needed)
    return current in {"", "None"}


def target(current: str | None, phase: str, revisions: tuple[str, ...] = REVISIONS) -> str | None:
    """Return the revision to which ``phase`` upgrades ``current``, or None for no change.

    `pre` stops before the next `post_` migration.
    """
    ahead = revisions[revisions.index(current) + 1 :] if current in revisions else revisions
    if current is not None and current not in revisions:
        return None
    reached: str | None = None
    for revision in ahead:
        if phase == "pre" and revision.startswith("post_"):
            break
        reached = revision
    return reached
