"""The history of the secret table on PostgreSQL; the rules are those of the store's."""

REVISIONS = ("pre_0001",)
"""Every step, oldest first."""

NEEDED = "pre_0001"
"""The step that this release cannot run without."""

GRANTS = {"schema_version": "SELECT", "secrets": "SELECT, INSERT, UPDATE, DELETE"}
"""What the role of the services may do there: these rows are no history."""
