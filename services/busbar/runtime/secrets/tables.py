"""The table of secrets. It is not part of any event store, and its contents are in no event."""

from sqlalchemy import Column, LargeBinary, MetaData, String, Table

metadata = MetaData()

secrets = Table(
    "secrets",
    metadata,
    Column("name", String, primary_key=True),
    Column("team", String, nullable=True),
    Column("kind", String, nullable=False),
    Column("key_id", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("stored_time", String, nullable=False),
)
"""Encrypted secrets by name.

``team`` is null for secrets of the platform; ``kind`` is the declared use; ``key_id`` names the
data key that encrypted the value in ``sealed``.
"""
