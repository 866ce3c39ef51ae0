"""Placement's tables: what is needed to make the pool anew, with the generations and times that clients see.

Providers are numbered in the order in which they came, so that a pool that is made anew has its rows in that order.
"""

from __future__ import annotations

from sqlalchemy import Column, Double, ForeignKey, Index, Table

from sundog.control.store.tables import Id, Int, Text, UtcDateTime, metadata

_PROVIDER = "placement_providers.uuid"

providers = Table(
    "placement_providers",
    metadata,
    Column("number", Int, primary_key=True),
    Column("uuid", Id, nullable=False, unique=True),
    Column("name", Text, nullable=False, unique=True),
    Column("parent_uuid", Id, ForeignKey(_PROVIDER)),
    Column("generation", Int, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

inventories = Table(
    "placement_inventories",
    metadata,
    Column("provider_uuid", Id, ForeignKey(_PROVIDER), primary_key=True),
    Column("resource_class", Text, primary_key=True),
    Column("total", Int, nullable=False),
    Column("reserved", Int, nullable=False),
    Column("min_unit", Int, nullable=False),
    Column("max_unit", Int),
    Column("step_size", Int, nullable=False),
    Column("allocation_ratio", Double, nullable=False),
)

provider_traits = Table(
    "placement_provider_traits",
    metadata,
    Column("provider_uuid", Id, ForeignKey(_PROVIDER), primary_key=True),
    Column("trait", Text, primary_key=True),
)

provider_aggregates = Table(
    "placement_provider_aggregates",
    metadata,
    Column("provider_uuid", Id, ForeignKey(_PROVIDER), primary_key=True),
    Column("aggregate_uuid", Id, primary_key=True),
)

custom_traits = Table(
    "placement_custom_traits",
    metadata,
    Column("name", Text, primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
)

custom_classes = Table(
    "placement_custom_classes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

consumers = Table(
    "placement_consumers",
    metadata,
    Column("uuid", Id, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("consumer_type", Text),
    Column("generation", Int, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

allocations = Table(
    "placement_allocations",
    metadata,
    Column("consumer_uuid", Id, ForeignKey("placement_consumers.uuid"), primary_key=True),
    Column("provider_uuid", Id, ForeignKey(_PROVIDER), primary_key=True),
    Column("resource_class", Text, primary_key=True),
    Column("used", Int, nullable=False),
)

Index(None, allocations.c.provider_uuid)
