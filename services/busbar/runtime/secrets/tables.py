"""The table of secrets: no service's event store has it, and no event has what is in it."""

from sqlalchemy import Column, LargeBinary, MetaData, String, Table

metadata = MetaData()

secrets = Table(
    "secrets",
    metadata,
    Column("name", String, primary_key=True),
    Column("team", String, nullable=True),
    Column("key_id", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("stored_time", String, nullable=False),
)
"""``team`` is null for the platform's own; ``key_id`` names the data key that sealed the value."""
