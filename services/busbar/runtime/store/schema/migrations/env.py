"""Alembic's entry point, run by :mod:`busbar.runtime.store.engines.migrate` on its connection."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="schema_version",
    version_table_schema=context.config.attributes["schema"],
)
with context.begin_transaction():
    context.run_migrations()
