"""Tokens of consoles."""

import sqlalchemy as sa
from alembic import op

from sundog.control.store import tables

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the table of console tokens."""
    op.create_table(
        "compute_console_tokens",
        sa.Column("token_hash", tables.Text(), nullable=False),
        sa.Column("server_id", tables.Id(), nullable=False),
        sa.Column("host", tables.Id(), nullable=False),
        sa.Column("generation", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("type", tables.Text(), nullable=False),
        sa.Column("expires_at", tables.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["server_id"], ["compute_servers.id"], name=op.f("fk_compute_console_tokens_server_id")
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_compute_console_tokens")),
    )
    with op.batch_alter_table("compute_console_tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_compute_console_tokens_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_compute_console_tokens_server_id"), ["server_id"], unique=False)
