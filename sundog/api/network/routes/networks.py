"""Networks."""

from __future__ import annotations

from typing import Any

from sundog.api.kit.context import Context
from sundog.api.network.kinds import (
    NETWORK,
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
from sundog.api.network.schemas import CreateNetworks, Listing, Showing, UpdateNetwork
from sundog.api.network.service import SERVICE


@SERVICE.operation("GET", "/v2.0/networks", RULES["get_network"], own=False)
async def list_networks(ctx: Context, query: Listing) -> dict[str, Any]:
    """List the networks that the caller sees."""
    return listed(ctx, NETWORK, ctx.cloud.network.networks, query)


@SERVICE.operation("POST", "/v2.0/networks", RULES["create_network"], status=201, own=False)
async def create_networks(ctx: Context, body: CreateNetworks) -> dict[str, Any]:
    """Create a network, or several: all or none."""
    specs = [new(ctx, NETWORK, each) for each in several(body, NETWORK)]
    return made(ctx, NETWORK, body, ctx.cloud.network.networks.create(specs))


@SERVICE.operation("GET", "/v2.0/networks/{network_id}", RULES["get_network"], own=False)
async def show_network(ctx: Context, network_id: str, query: Showing) -> dict[str, Any]:
    """Show a network."""
    record = shown(ctx, NETWORK, ctx.cloud.network.networks, network_id)
    return {"network": told(ctx, NETWORK, record, query.fields)}


@SERVICE.operation("PUT", "/v2.0/networks/{network_id}", RULES["update_network"], own=False)
async def update_network(ctx: Context, network_id: str, body: UpdateNetwork) -> dict[str, Any]:
    """Change a network."""
    record = allowed(ctx, NETWORK, ctx.cloud.network.networks, network_id, "update")
    changes = changed(ctx, NETWORK, body.network, record)
    return {"network": told(ctx, NETWORK, ctx.cloud.network.networks.update(viewer(ctx), network_id, changes))}


@SERVICE.operation("DELETE", "/v2.0/networks/{network_id}", RULES["delete_network"], status=204, own=False)
async def delete_network(ctx: Context, network_id: str) -> None:
    """Delete a network."""
    allowed(ctx, NETWORK, ctx.cloud.network.networks, network_id, "delete")
    ctx.cloud.network.networks.delete(viewer(ctx), network_id)
