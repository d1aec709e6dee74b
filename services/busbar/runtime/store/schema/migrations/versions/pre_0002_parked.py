"""Parked ordering keys: what waits, in its order, because a message before it failed."""

import sqlalchemy as sa
from alembic import op

revision = "pre_0002"
down_revision = "pre_0001"
branch_labels = None
depends_on = None


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), primary_key=True)


def upgrade() -> None:
    """Only adds, so that the release before works on as it did."""
    op.create_table(
        "parked_keys",
        _key("consumer"),
        _key("ordering_key"),
        sa.Column("since", sa.Text(collation="C"), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("requests", sa.Text(collation="C"), nullable=False),
    )
    op.create_table(
        "parked_records",
        _key("consumer"),
        _key("ordering_key"),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("dead_letter", sa.Text(collation="C"), nullable=False),
    )
    op.create_index("parked_records_dead_letter", "parked_records", ["dead_letter"], unique=True)
