"""Images: what is known of them, their properties, tags and members, and the tasks that imported them."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Table

from sundog.control.store.tables import Id, Int, Json, Text, UtcDateTime, metadata

images = Table(
    "image_images",
    metadata,
    # Rows of deleted images stay, so that no id is ever used twice: hosts keep images by their ids.
    Column("id", Id, primary_key=True),
    Column("status", Text, nullable=False),
    Column("name", Text),
    Column("owner", Id, index=True),
    Column("visibility", Text, nullable=False),
    Column("protected", Boolean, nullable=False),
    Column("os_hidden", Boolean, nullable=False),
    Column("disk_format", Text),
    Column("container_format", Text),
    Column("min_disk", Int, nullable=False),
    Column("min_ram", Int, nullable=False),
    Column("size", Int),
    Column("virtual_size", Int),
    Column("checksum", Text),
    Column("os_hash_algo", Text),
    Column("os_hash_value", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

properties = Table(
    "image_properties",
    metadata,
    Column("image_id", Id, ForeignKey("image_images.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

tags = Table(
    "image_tags",
    metadata,
    Column("image_id", Id, ForeignKey("image_images.id", ondelete="CASCADE"), primary_key=True),
    Column("value", Text, primary_key=True),
)

members = Table(
    "image_members",
    metadata,
    Column("image_id", Id, ForeignKey("image_images.id", ondelete="CASCADE"), primary_key=True),
    Column("member_id", Id, primary_key=True, index=True),
    Column("status", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

tasks = Table(
    "image_tasks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("image_id", Id, ForeignKey("image_images.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("owner", Id),
    Column("user_id", Id, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("input", Json, nullable=False),
    Column("result", Json),
    Column("message", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
