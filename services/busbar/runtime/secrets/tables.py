"""The tables of secrets. They are part of no event store, and their contents are in no event."""

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

subjects = Table(
    "subjects",
    metadata,
    Column("subject", String, primary_key=True),
    Column("key_id", String, nullable=False),
    Column("sealed", LargeBinary, nullable=True),
    Column("created_time", String, nullable=False),
    Column("erased_time", String, nullable=True),
    Column("erased_by", String, nullable=True),
)
"""The key of each subject's personal data, by the subject's pseudonym; ``index`` is the key that
pseudonyms are made with.

``sealed`` is null once the subject is erased; ``erased_by`` is the operation that did it last.
"""
