"""The tables of a store. Every service has its own and reads no other service's."""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

LAST = "\U0010ffff"
"""Text is compared byte by byte, so all text that begins with ``x`` is below ``x + LAST``."""

# SQLite assigns row numbers only in a column that is declared INTEGER.
_Position = BigInteger().with_variant(Integer, "sqlite")

events = Table(
    "events",
    metadata,
    Column("position", _Position, primary_key=True, autoincrement=True),
    Column("stream", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("id", String, nullable=False, unique=True),
    Column("type", String, nullable=False),
    Column("time", String, nullable=False),
    Column("recorded_time", String, nullable=False),
    Column("correlation", String, nullable=False),
    Column("causation", String, nullable=False),
    Column("topic", String, nullable=True),
    Column("key", String, nullable=True),
    Column("data", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    UniqueConstraint("stream", "version"),
    Index("events_correlation", "correlation", "position"),
    Index("events_key", "key", "position"),
    sqlite_autoincrement=True,
)
"""Append-only events. ``topic`` is null if private; ``data`` and ``metadata`` are JSON."""

sequences = Table(
    "sequences",
    metadata,
    Column("sequence", _Position, primary_key=True, autoincrement=False),
    Column("position", _Position, nullable=False, unique=True),
    Column("digest", String, nullable=False),
)
"""The gapless public number of each published event, and the digest chain. Insert-only."""

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Progress by name: ``published`` is the relay's highest acknowledged sequence."""

inbox = Table(
    "inbox",
    metadata,
    Column("consumer", String, primary_key=True),
    Column("source", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("digest", String, nullable=False),
    Column("recorded_time", String, nullable=False),
)
"""Handled messages. A row commits with its effects, so a redelivery changes nothing."""

offsets = Table(
    "offsets",
    metadata,
    Column("consumer", String, primary_key=True),
    Column("topic", String, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
)
"""The authoritative next offset of each partition; those in Kafka only serve its tools."""

tasks = Table(
    "tasks",
    metadata,
    Column("kind", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("due", String, nullable=True),
    Column("data", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("holder", String, nullable=True),
    Column("expires", String, nullable=True),
    Index("tasks_due", "kind", "due"),
)
"""Durable tasks: when they are due, and the holder, epoch and expiry of their lease."""

documents = Table(
    "documents",
    metadata,
    Column("kind", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("parent", String, nullable=False),
    Column("rank", String, nullable=False),
    Column("value", Text, nullable=False),
    Index("documents_parent", "kind", "parent", "rank"),
    Index("documents_rank", "kind", "rank"),
)
"""Projections: JSON by kind and key, listed by parent and rank."""

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", String, primary_key=True),
    Column("topic", String, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("reason", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("recorded_time", String, nullable=False),
)
"""Complete encrypted records that could not be handled, kept for redrive."""

parked_keys = Table(
    "parked_keys",
    metadata,
    Column("consumer", String, primary_key=True),
    Column("ordering_key", String, primary_key=True),
    Column("since", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("requests", Text, nullable=False),
)
"""Ordering keys of which a message failed; ``requests`` are the open redrive requests."""

parked_records = Table(
    "parked_records",
    metadata,
    Column("consumer", String, primary_key=True),
    Column("ordering_key", String, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("dead_letter", String, nullable=False),
    Index("parked_records_dead_letter", "dead_letter", unique=True),
)
"""The dead letters of parked ordering keys in their order; the first is the one that failed."""
