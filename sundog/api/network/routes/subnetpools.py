"""Subnet pools."""

from __future__ import annotations

from typing import Any

from sundog.api.kit.context import Context
from sundog.api.network.kinds import (
    SUBNET_POOL,
    allowed,
    changed,
    listed,
    made,
    new,
    several,
    shown,
    told,
    viewer,
)
from sundog.api.network.policy import RULES
from sundog.api.network.schemas import CreateSubnetPools, Listing, Showing, UpdateSubnetPool
from sundog.api.network.service import SERVICE


@SERVICE.operation("GET", "/v2.0/subnetpools", RULES["get_subnetpool"], own=False)
async def list_subnetpools(ctx: Context, query: Listing) -> dict[str, Any]:
    """List the subnet pools that the caller sees."""
    return listed(ctx, SUBNET_POOL, ctx.cloud.network.subnet_pools, query)


@SERVICE.operation("POST", "/v2.0/subnetpools", RULES["create_subnetpool"], status=201, own=False)
async def create_subnetpools(ctx: Context, body: CreateSubnetPools) -> dict[str, Any]:
    """Create a subnet pool, or several: all or none."""
    specs = [new(ctx, SUBNET_POOL, each) for each in several(body, SUBNET_POOL)]
    return made(ctx, SUBNET_POOL, body, ctx.cloud.network.subnet_pools.create(specs))


@SERVICE.operation("GET", "/v2.0/subnetpools/{subnetpool_id}", RULES["get_subnetpool"], own=False)
async def show_subnetpool(ctx: Context, subnetpool_id: str, query: Showing) -> dict[str, Any]:
    """Show a subnet pool."""
    record = shown(ctx, SUBNET_POOL, ctx.cloud.network.subnet_pools, subnetpool_id)
    return {"subnetpool": told(ctx, SUBNET_POOL, record, query.fields)}


@SERVICE.operation("PUT", "/v2.0/subnetpools/{subnetpool_id}", RULES["update_subnetpool"], own=False)
async def update_subnetpool(ctx: Context, subnetpool_id: str, body: UpdateSubnetPool) -> dict[str, Any]:
    """Change a subnet pool."""
    record = allowed(ctx, SUBNET_POOL, ctx.cloud.network.subnet_pools, subnetpool_id, "update")
    changes = changed(ctx, SUBNET_POOL, body.subnetpool, record)
    pool = ctx.cloud.network.subnet_pools.update(viewer(ctx), subnetpool_id, changes)
    return {"subnetpool": told(ctx, SUBNET_POOL, pool)}


@SERVICE.operation("DELETE", "/v2.0/subnetpools/{subnetpool_id}", RULES["delete_subnetpool"], status=204, own=False)
async def delete_subnetpool(ctx: Context, subnetpool_id: str) -> None:
    """Delete a subnet pool."""
    allowed(ctx, SUBNET_POOL, ctx.cloud.network.subnet_pools, subnetpool_id, "delete")
    ctx.cloud.network.subnet_pools.delete(viewer(ctx), subnetpool_id)
