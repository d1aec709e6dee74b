"""Migrations of the secret table on PostgreSQL, under the same rules as those of the store."""

REVISIONS = ("pre_0001",)
"""Every migration, oldest first."""

NEEDED = "pre_0001"
"""The migration that this release requires."""

GRANTS = {"schema_version": "SELECT", "secrets": "SELECT, INSERT, UPDATE, DELETE"}
"""Privileges of the services' role by table. Secrets are not history: rows may be changed."""
