"""Create the table. Text is compared byte by byte, as SQLite does."""

import sqlalchemy as sa
from alembic import op

revision = "pre_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table in the first schema of the search path."""
    text = sa.Text(collation="C")
    op.create_table(
        "secrets",
        sa.Column("name", text, primary_key=True),
        sa.Column("team", text, nullable=True),
        sa.Column("kind", text, nullable=False),
        sa.Column("key_id", text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("stored_time", text, nullable=False),
    )
