"""Facts about the deployment."""

import sqlalchemy as sa
from alembic import op

from sundog.control.store import tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the table ``meta``."""
    op.create_table(
        "meta",
        sa.Column("key", tables.Text(), nullable=False),
        sa.Column("value", tables.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_meta")),
    )
