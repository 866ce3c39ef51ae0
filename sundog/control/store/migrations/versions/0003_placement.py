"""Placement: providers, inventories, traits, aggregates, consumers and what they hold."""

import sqlalchemy as sa
from alembic import op

from sundog.control.store import tables

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make Placement's tables."""
    op.create_table(
        "placement_consumers",
        sa.Column("uuid", tables.Id(), nullable=False),
        sa.Column("project_id", tables.Text(), nullable=False),
        sa.Column("user_id", tables.Text(), nullable=False),
        sa.Column("consumer_type", tables.Text(), nullable=True),
        sa.Column("generation", tables.Int, nullable=False),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.Column("updated_at", tables.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_placement_consumers")),
    )
    op.create_table(
        "placement_custom_classes",
        sa.Column("name", tables.Text(), nullable=False),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.Column("updated_at", tables.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_placement_custom_classes")),
    )
    op.create_table(
        "placement_custom_traits",
        sa.Column("name", tables.Text(), nullable=False),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_placement_custom_traits")),
    )
    op.create_table(
        "placement_providers",
        sa.Column("number", tables.Int, nullable=False),
        sa.Column("uuid", tables.Id(), nullable=False),
        sa.Column("name", tables.Text(), nullable=False),
        sa.Column("parent_uuid", tables.Id(), nullable=True),
        sa.Column("generation", tables.Int, nullable=False),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.Column("updated_at", tables.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["parent_uuid"], ["placement_providers.uuid"], name=op.f("fk_placement_providers_parent_uuid")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_placement_providers")),
        sa.UniqueConstraint("name", name=op.f("uq_placement_providers_name")),
        sa.UniqueConstraint("uuid", name=op.f("uq_placement_providers_uuid")),
    )
    op.create_table(
        "placement_allocations",
        sa.Column("consumer_uuid", tables.Id(), nullable=False),
        sa.Column("provider_uuid", tables.Id(), nullable=False),
        sa.Column("resource_class", tables.Text(), nullable=False),
        sa.Column("used", tables.Int, nullable=False),
        sa.ForeignKeyConstraint(
            ["consumer_uuid"], ["placement_consumers.uuid"], name=op.f("fk_placement_allocations_consumer_uuid")
        ),
        sa.ForeignKeyConstraint(
            ["provider_uuid"], ["placement_providers.uuid"], name=op.f("fk_placement_allocations_provider_uuid")
        ),
        sa.PrimaryKeyConstraint(
            "consumer_uuid", "provider_uuid", "resource_class", name=op.f("pk_placement_allocations")
        ),
    )
    op.create_index(
        op.f("ix_placement_allocations_provider_uuid"), "placement_allocations", ["provider_uuid"], unique=False
    )
    op.create_table(
        "placement_inventories",
        sa.Column("provider_uuid", tables.Id(), nullable=False),
        sa.Column("resource_class", tables.Text(), nullable=False),
        sa.Column("total", tables.Int, nullable=False),
        sa.Column("reserved", tables.Int, nullable=False),
        sa.Column("min_unit", tables.Int, nullable=False),
        sa.Column("max_unit", tables.Int, nullable=True),
        sa.Column("step_size", tables.Int, nullable=False),
        sa.Column("allocation_ratio", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_uuid"], ["placement_providers.uuid"], name=op.f("fk_placement_inventories_provider_uuid")
        ),
        sa.PrimaryKeyConstraint("provider_uuid", "resource_class", name=op.f("pk_placement_inventories")),
    )
    op.create_table(
        "placement_provider_aggregates",
        sa.Column("provider_uuid", tables.Id(), nullable=False),
        sa.Column("aggregate_uuid", tables.Id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_uuid"], ["placement_providers.uuid"], name=op.f("fk_placement_provider_aggregates_provider_uuid")
        ),
        sa.PrimaryKeyConstraint("provider_uuid", "aggregate_uuid", name=op.f("pk_placement_provider_aggregates")),
    )
    op.create_table(
        "placement_provider_traits",
        sa.Column("provider_uuid", tables.Id(), nullable=False),
        sa.Column("trait", tables.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_uuid"], ["placement_providers.uuid"], name=op.f("fk_placement_provider_traits_provider_uuid")
        ),
        sa.PrimaryKeyConstraint("provider_uuid", "trait", name=op.f("pk_placement_provider_traits")),
    )
