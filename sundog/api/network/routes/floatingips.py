"""Floating IPs."""

from __future__ import annotations

from typing import Any

from sundog.api.kit.context import Context
from sundog.api.network.kinds import (
    FLOATING_IP,
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
from sundog.api.network.schemas import CreateFloatingIps, Listing, Showing, UpdateFloatingIp
from sundog.api.network.service import SERVICE


@SERVICE.operation("GET", "/v2.0/floatingips", RULES["get_floatingip"], own=False)
async def list_floatingips(ctx: Context, query: Listing) -> dict[str, Any]:
    """List the floating IPs that the caller sees."""
    return listed(ctx, FLOATING_IP, ctx.cloud.network.floating_ips, query)


@SERVICE.operation("POST", "/v2.0/floatingips", RULES["create_floatingip"], status=201, own=False)
async def create_floatingips(ctx: Context, body: CreateFloatingIps) -> dict[str, Any]:
    """Create a floating IP, or several: all or none."""
    specs = [new(ctx, FLOATING_IP, each) for each in several(body, FLOATING_IP)]
    return made(ctx, FLOATING_IP, body, ctx.cloud.network.floating_ips.create(viewer(ctx), specs))


@SERVICE.operation("GET", "/v2.0/floatingips/{floatingip_id}", RULES["get_floatingip"], own=False)
async def show_floatingip(ctx: Context, floatingip_id: str, query: Showing) -> dict[str, Any]:
    """Show a floating IP."""
    record = shown(ctx, FLOATING_IP, ctx.cloud.network.floating_ips, floatingip_id)
    return {"floatingip": told(ctx, FLOATING_IP, record, query.fields)}


@SERVICE.operation("PUT", "/v2.0/floatingips/{floatingip_id}", RULES["update_floatingip"], own=False)
async def update_floatingip(ctx: Context, floatingip_id: str, body: UpdateFloatingIp) -> dict[str, Any]:
    """Change a floating IP."""
    record = allowed(ctx, FLOATING_IP, ctx.cloud.network.floating_ips, floatingip_id, "update")
    changes = changed(ctx, FLOATING_IP, body.floatingip, record)
    if not changes:
        # What says nothing lets go, as it always has in Neutron.
        changes = {"port_id": None}
    floating = ctx.cloud.network.floating_ips.update(viewer(ctx), floatingip_id, changes)
    return {"floatingip": told(ctx, FLOATING_IP, floating)}


@SERVICE.operation("DELETE", "/v2.0/floatingips/{floatingip_id}", RULES["delete_floatingip"], status=204, own=False)
async def delete_floatingip(ctx: Context, floatingip_id: str) -> None:
    """Delete a floating IP."""
    allowed(ctx, FLOATING_IP, ctx.cloud.network.floating_ips, floatingip_id, "delete")
    ctx.cloud.network.floating_ips.delete(viewer(ctx), floatingip_id)
