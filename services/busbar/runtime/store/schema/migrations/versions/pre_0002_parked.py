"""Add parked ordering keys, with the records that wait in order behind a failed one."""

import sqlalchemy as sa
from alembic import op

revision = "pre_0002"
down_revision = "pre_0001"
branch_labels = None
depends_on = None


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), primary_key=True)


def upgrade() -> None:
    """Create the tables. Nothing else changes, so the previous release keeps working."""
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
