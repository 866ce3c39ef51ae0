"""Ports."""

from __future__ import annotations

from typing import Any

from sundog.api.kit.context import Context
from sundog.api.network.kinds import (
    PORT,
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
from sundog.api.network.schemas import CreatePorts, Listing, Showing, UpdatePort
from sundog.api.network.service import SERVICE


@SERVICE.operation("GET", "/v2.0/ports", RULES["get_port"], own=False)
async def list_ports(ctx: Context, query: Listing) -> dict[str, Any]:
    """List the ports that the caller sees."""
    return listed(ctx, PORT, ctx.cloud.network.ports, query)


@SERVICE.operation("POST", "/v2.0/ports", RULES["create_port"], status=201, own=False)
async def create_ports(ctx: Context, body: CreatePorts) -> dict[str, Any]:
    """Create a port, or several: all or none."""
    specs = [new(ctx, PORT, each, on_network(ctx, each.network_id)) for each in several(body, PORT)]
    return made(ctx, PORT, body, ctx.cloud.network.ports.create(viewer(ctx), [filled(each) for each in specs]))


@SERVICE.operation("GET", "/v2.0/ports/{port_id}", RULES["get_port"], own=False)
async def show_port(ctx: Context, port_id: str, query: Showing) -> dict[str, Any]:
    """Show a port."""
    record = shown(ctx, PORT, ctx.cloud.network.ports, port_id)
    return {"port": told(ctx, PORT, record, query.fields)}


@SERVICE.operation("PUT", "/v2.0/ports/{port_id}", RULES["update_port"], own=False)
async def update_port(ctx: Context, port_id: str, body: UpdatePort) -> dict[str, Any]:
    """Change a port."""
    record = allowed(ctx, PORT, ctx.cloud.network.ports, port_id, "update")
    about = on_network(ctx, record.network_id)
    changes = filled(changed(ctx, PORT, body.port, record, about))
    return {"port": told(ctx, PORT, ctx.cloud.network.ports.update(viewer(ctx), port_id, changes))}


@SERVICE.operation("DELETE", "/v2.0/ports/{port_id}", RULES["delete_port"], status=204, own=False)
async def delete_port(ctx: Context, port_id: str) -> None:
    """Delete a port."""
    allowed(ctx, PORT, ctx.cloud.network.ports, port_id, "delete")
    ctx.cloud.network.ports.delete(viewer(ctx), port_id)


def filled(values: dict[str, Any]) -> dict[str, Any]:
    """With an empty text where null was sent, which means the same for these."""
    return {
        name: ""
        if value is None and name in ("device_id", "device_owner", "host_id")
        else {}
        if value is None and name == "profile"
        else value
        for name, value in values.items()
    }
