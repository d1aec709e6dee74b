"""Migrations of the secret table on PostgreSQL, under the same rules as those of the store."""

REVISIONS = ("pre_0001", "pre_0002")
"""Every migration, oldest first."""

NEEDED = "pre_0002"
"""The migration that this release requires."""

GRANTS = {
    "schema_version": "SELECT",
    "secrets": "SELECT, INSERT, UPDATE, DELETE",
    "subjects": "SELECT, INSERT, UPDATE",
}
"""Privileges of the services' role by table. Secrets are not history: rows may be changed."""
