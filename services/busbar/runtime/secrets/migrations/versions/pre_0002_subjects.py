"""Create the table of the keys of personal data."""

import sqlalchemy as sa
from alembic import op

revision = "pre_0002"
down_revision = "pre_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table in the first schema of the search path."""
    text = sa.Text(collation="C")
    op.create_table(
        "subjects",
        sa.Column("subject", text, primary_key=True),
        sa.Column("key_id", text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=True),
        sa.Column("created_time", text, nullable=False),
        sa.Column("erased_time", text, nullable=True),
        sa.Column("erased_by", text, nullable=True),
    )
