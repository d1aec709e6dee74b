"""Create the first tables. Text is compared byte by byte, as SQLite does."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "pre_0001"
down_revision = None
branch_labels = None
depends_on = None


def _text(name: str, *, null: bool = False, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(collation="C"), nullable=null, primary_key=key)


def _number(name: str, type_: Any = sa.BigInteger, *, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, type_, nullable=False, primary_key=key, autoincrement=False)


def upgrade() -> None:
    """Create every table in the first schema of the search path."""
    _events()
    _reading()
    _working()


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        *(_text(name) for name in ("stream", "id", "type", "time", "recorded_time")),
        *(_text(name) for name in ("correlation", "causation", "data", "metadata")),
        *(_text(name, null=True) for name in ("topic", "key")),
        _number("version", sa.Integer),
        sa.UniqueConstraint("stream", "version", name="events_stream_version"),
        sa.UniqueConstraint("id", name="events_id"),
    )
    # SQLAlchemy lacks this type: the 64-bit number of the writing transaction.
    op.execute("ALTER TABLE events ADD xid xid8 NOT NULL DEFAULT pg_current_xact_id()")
    op.create_index("events_order", "events", ["xid", "position"])
    op.create_index("events_correlation", "events", ["correlation", "xid", "position"])
    op.create_index("events_key", "events", ["key", "xid", "position"])
    op.create_table(
        "sequences",
        _number("sequence", key=True),
        _number("position"),
        _text("digest"),
        sa.UniqueConstraint("position", name="sequences_position"),
    )
    op.create_table("checkpoints", _text("name", key=True), _number("value"))


def _reading() -> None:
    op.create_table(
        "inbox",
        *(_text(name, key=True) for name in ("consumer", "source", "id")),
        _text("digest"),
        _text("recorded_time"),
    )
    op.create_table(
        "offsets",
        _text("consumer", key=True),
        _text("topic", key=True),
        _number("partition", sa.Integer, key=True),
        _number("next_offset"),
    )
    op.create_table(
        "dead_letters",
        _text("id", key=True),
        _text("topic"),
        _number("partition", sa.Integer),
        _number("offset"),
        _text("reason"),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        _text("recorded_time"),
    )


def _working() -> None:
    op.create_table(
        "tasks",
        _text("kind", key=True),
        _text("name", key=True),
        _text("due", null=True),
        _text("data"),
        *(_number(name, sa.Integer) for name in ("revision", "attempts", "epoch")),
        _text("holder", null=True),
        _text("expires", null=True),
    )
    op.create_index("tasks_due", "tasks", ["kind", "due"])
    op.create_table(
        "documents",
        _text("kind", key=True),
        _text("key", key=True),
        *(_text(name) for name in ("parent", "rank", "value")),
    )
    op.create_index("documents_parent", "documents", ["kind", "parent", "rank"])
    op.create_index("documents_rank", "documents", ["kind", "rank"])
