"""Images."""

import sqlalchemy as sa
from alembic import op

from sundog.control.store import tables

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the tables of images."""
    op.create_table(
        "image_images",
        sa.Column("id", tables.Id(), nullable=False),
        sa.Column("status", tables.Text(), nullable=False),
        sa.Column("name", tables.Text(), nullable=True),
        sa.Column("owner", tables.Id(), nullable=True),
        sa.Column("visibility", tables.Text(), nullable=False),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.Column("os_hidden", sa.Boolean(), nullable=False),
        sa.Column("disk_format", tables.Text(), nullable=True),
        sa.Column("container_format", tables.Text(), nullable=True),
        sa.Column("min_disk", tables.Int, nullable=False),
        sa.Column("min_ram", tables.Int, nullable=False),
        sa.Column("size", tables.Int, nullable=True),
        sa.Column("virtual_size", tables.Int, nullable=True),
        sa.Column("checksum", tables.Text(), nullable=True),
        sa.Column("os_hash_algo", tables.Text(), nullable=True),
        sa.Column("os_hash_value", tables.Text(), nullable=True),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.Column("updated_at", tables.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image_images")),
    )
    op.create_index(op.f("ix_image_images_owner"), "image_images", ["owner"], unique=False)
    op.create_table(
        "image_members",
        sa.Column("image_id", tables.Id(), nullable=False),
        sa.Column("member_id", tables.Id(), nullable=False),
        sa.Column("status", tables.Text(), nullable=False),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.Column("updated_at", tables.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["image_images.id"], name=op.f("fk_image_members_image_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("image_id", "member_id", name=op.f("pk_image_members")),
    )
    op.create_index(op.f("ix_image_members_member_id"), "image_members", ["member_id"], unique=False)
    op.create_table(
        "image_properties",
        sa.Column("image_id", tables.Id(), nullable=False),
        sa.Column("name", tables.Text(), nullable=False),
        sa.Column("value", tables.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["image_images.id"], name=op.f("fk_image_properties_image_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("image_id", "name", name=op.f("pk_image_properties")),
    )
    op.create_table(
        "image_tags",
        sa.Column("image_id", tables.Id(), nullable=False),
        sa.Column("value", tables.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["image_images.id"], name=op.f("fk_image_tags_image_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("image_id", "value", name=op.f("pk_image_tags")),
    )
    op.create_table(
        "image_tasks",
        sa.Column("id", tables.Id(), nullable=False),
        sa.Column("image_id", tables.Id(), nullable=False),
        sa.Column("type", tables.Text(), nullable=False),
        sa.Column("status", tables.Text(), nullable=False),
        sa.Column("owner", tables.Id(), nullable=True),
        sa.Column("user_id", tables.Id(), nullable=False),
        sa.Column("request_id", tables.Text(), nullable=False),
        sa.Column("input", tables.Json(), nullable=False),
        sa.Column("result", tables.Json(), nullable=True),
        sa.Column("message", tables.Text(), nullable=False),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.Column("updated_at", tables.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["image_images.id"], name=op.f("fk_image_tasks_image_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image_tasks")),
    )
    op.create_index(op.f("ix_image_tasks_image_id"), "image_tasks", ["image_id"], unique=False)
