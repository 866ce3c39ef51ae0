"""Subnets."""

from __future__ import annotations

from typing import Any

from sundog.api.kit.context import Context
from sundog.api.network.kinds import (
    SUBNET,
    allowed,
    changed,
    listed,
    made,
    new,
    on_network,
    several,
    shown,
    told,
    viewer,
)
from sundog.api.network.policy import RULES
from sundog.api.network.schemas import CreateSubnets, Listing, Showing, UpdateSubnet
from sundog.api.network.service import SERVICE


@SERVICE.operation("GET", "/v2.0/subnets", RULES["get_subnet"], own=False)
async def list_subnets(ctx: Context, query: Listing) -> dict[str, Any]:
    """List the subnets that the caller sees."""
    return listed(ctx, SUBNET, ctx.cloud.network.subnets, query)


@SERVICE.operation("POST", "/v2.0/subnets", RULES["create_subnet"], status=201, own=False)
async def create_subnets(ctx: Context, body: CreateSubnets) -> dict[str, Any]:
    """Create a subnet, or several: all or none."""
    specs = [new(ctx, SUBNET, each, on_network(ctx, each.network_id)) for each in several(body, SUBNET)]
    return made(ctx, SUBNET, body, ctx.cloud.network.subnets.create(viewer(ctx), specs))


@SERVICE.operation("GET", "/v2.0/subnets/{subnet_id}", RULES["get_subnet"], own=False)
async def show_subnet(ctx: Context, subnet_id: str, query: Showing) -> dict[str, Any]:
    """Show a subnet."""
    record = shown(ctx, SUBNET, ctx.cloud.network.subnets, subnet_id)
    return {"subnet": told(ctx, SUBNET, record, query.fields)}


@SERVICE.operation("PUT", "/v2.0/subnets/{subnet_id}", RULES["update_subnet"], own=False)
async def update_subnet(ctx: Context, subnet_id: str, body: UpdateSubnet) -> dict[str, Any]:
    """Change a subnet."""
    record = allowed(ctx, SUBNET, ctx.cloud.network.subnets, subnet_id, "update")
    changes = changed(ctx, SUBNET, body.subnet, record)
    return {"subnet": told(ctx, SUBNET, ctx.cloud.network.subnets.update(viewer(ctx), subnet_id, changes))}


@SERVICE.operation("DELETE", "/v2.0/subnets/{subnet_id}", RULES["delete_subnet"], status=204, own=False)
async def delete_subnet(ctx: Context, subnet_id: str) -> None:
    """Delete a subnet."""
    allowed(ctx, SUBNET, ctx.cloud.network.subnets, subnet_id, "delete")
    ctx.cloud.network.subnets.delete(viewer(ctx), subnet_id)
