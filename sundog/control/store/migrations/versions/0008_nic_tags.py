"""Tags of servers' ports."""

import sqlalchemy as sa
from alembic import op

from sundog.control.store import tables

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the table of tags that guests see their ports by."""
    op.create_table(
        "compute_nic_tags",
        sa.Column("port_id", tables.Id(), nullable=False),
        sa.Column("server_id", tables.Id(), nullable=False),
        sa.Column("tag", tables.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["port_id"], ["network_ports.id"], name=op.f("fk_compute_nic_tags_port_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("port_id", name=op.f("pk_compute_nic_tags")),
    )
    with op.batch_alter_table("compute_nic_tags", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_compute_nic_tags_server_id"), ["server_id"], unique=False)
