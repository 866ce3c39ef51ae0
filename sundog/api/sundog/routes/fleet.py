"""Hosts: who they are, and more of them."""

from __future__ import annotations

from typing import Any

from sundog.api.kit.context import Context
from sundog.api.sundog import SERVICE, policy, schemas, views
from sundog.backends.playground import NewHosts


@SERVICE.operation("GET", "/fleet/hosts", policy.FLEET_LIST)
async def list_hosts(ctx: Context, query: schemas.HostFilter) -> dict[str, Any]:
    """List hosts with their state, rack and zone, all of them in one answer."""
    hosts = await ctx.cloud.fleet.hosts(state=query.state, rack=query.rack, zone=query.zone)
    return {"hosts": [views.host(each) for each in hosts]}


@SERVICE.operation("GET", "/fleet/hosts/{host}", policy.FLEET_LIST)
async def show_host(ctx: Context, host: str) -> dict[str, Any]:
    """Show a host, by its id or name."""
    return {"host": views.host(await ctx.cloud.fleet.host(host))}


@SERVICE.operation("GET", "/fleet/types", policy.FLEET_LIST)
async def list_types(ctx: Context) -> dict[str, Any]:
    """List the types of simulated hosts."""
    return {"types": [views.host_type(each) for each in ctx.cloud.fleet.types()]}


@SERVICE.operation("POST", "/fleet/hosts", policy.FLEET_ADD, status=201)
async def add_hosts(ctx: Context, body: schemas.AddHosts) -> dict[str, Any]:
    """Add simulated hosts of a type that there is, or of a new one; they stay with the cloud."""
    asked = body.hosts
    added = await ctx.cloud.fleet.add(NewHosts(asked.type, asked.count, asked.zone, asked.rack))
    return {"hosts": [views.host(each) for each in added]}


@SERVICE.operation("POST", "/fleet/drain", policy.FLEET_DRAIN)
async def drain_hosts(ctx: Context, body: schemas.Drain) -> dict[str, Any]:
    """Give hosts no new servers: their compute services are disabled, and what runs there runs on."""
    asked = body.drain
    return {
        "hosts": [views.host_in_short(each) for each in await ctx.cloud.fleet.drain(asked.scope.record(), asked.reason)]
    }


@SERVICE.operation("POST", "/fleet/undrain", policy.FLEET_DRAIN)
async def undrain_hosts(ctx: Context, body: schemas.Undrain) -> dict[str, Any]:
    """Give hosts servers again."""
    return {"hosts": [views.host_in_short(each) for each in await ctx.cloud.fleet.undrain(body.undrain.scope.record())]}
