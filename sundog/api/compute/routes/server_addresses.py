"""Addresses of servers: what they have, and the old ways to give them more, which Neutron has taken over."""

from __future__ import annotations

from typing import Any, Final

from sundog.api.compute.common import caller, server_of, stepped
from sundog.api.compute.policy import RULES
from sundog.api.compute.routes.server_actions import action
from sundog.api.compute.schemas import server_actions as schemas
from sundog.api.compute.schemas.server_details import nothing
from sundog.api.compute.views import servers as views
from sundog.api.compute.views.common import BASE
from sundog.api.kit.context import Context
from sundog.control.compute.records import Server
from sundog.errors import Conflict, Invalid, NotFound

_PATH: Final = f"{BASE}/servers/{{server_id}}/ips"
_LAST: Final = "2.43"
"""The last version in which addresses are given to servers, and not to ports."""


@stepped("GET", _PATH, RULES["os_compute_api:ips:index"], queries=nothing(), own=False)
async def list_server_addresses(ctx: Context, server_id: str) -> dict[str, Any]:
    """List the addresses of a server."""
    return {"addresses": _addresses(ctx, server_of(ctx, server_id, "os_compute_api:ips:index"))}


@stepped("GET", f"{_PATH}/{{label}}", RULES["os_compute_api:ips:show"], queries=nothing(), own=False)
async def show_server_addresses(ctx: Context, server_id: str, label: str) -> dict[str, Any]:
    """List the addresses of a server on one network."""
    found = _addresses(ctx, server_of(ctx, server_id, "os_compute_api:ips:show"))
    if label not in found:
        raise NotFound("Instance is not a member of specified network", network=label)
    return {label: found[label]}


def _addresses(ctx: Context, server: Server) -> dict[str, list[dict[str, Any]]]:
    return views.addresses(ctx.cloud.compute.servers.addresses([server])[server.id])


# ---------------------------------------------------------------- floating and further addresses


@action("addFloatingIp", "os_compute_api:os-floating-ips:add", until=_LAST)
async def add_floating_ip(ctx: Context, server_id: str, body: schemas.AddFloatingIp) -> None:
    """Let a floating IP lead to a server."""
    server_of(ctx, server_id, "os_compute_api:os-floating-ips:add")
    told = body.added
    try:
        ctx.cloud.compute.interfaces.add_floating_ip(caller(ctx), server_id, told.address, told.fixed_address)
    except Conflict as error:
        message = f"Unable to associate floating IP {told.address} for instance {server_id}. Error: {error.message}"
        raise Invalid(message, address=told.address) from None


@action("removeFloatingIp", "os_compute_api:os-floating-ips:remove", until=_LAST)
async def remove_floating_ip(ctx: Context, server_id: str, body: schemas.RemoveFloatingIp) -> None:
    """Let a floating IP lead nowhere."""
    server_of(ctx, server_id, "os_compute_api:os-floating-ips:remove")
    ctx.cloud.compute.interfaces.remove_floating_ip(caller(ctx), server_id, body.removed.address)


@action("addFixedIp", "os_compute_api:os-multinic:add", until=_LAST)
async def add_fixed_ip(ctx: Context, server_id: str, body: schemas.AddFixedIp) -> None:
    """Give a server another address on a network that it is on."""
    server_of(ctx, server_id, "os_compute_api:os-multinic:add")
    ctx.cloud.compute.interfaces.add_fixed_ip(caller(ctx), server_id, str(body.added.networkId))


@action("removeFixedIp", "os_compute_api:os-multinic:remove", until=_LAST)
async def remove_fixed_ip(ctx: Context, server_id: str, body: schemas.RemoveFixedIp) -> None:
    """Take an address away from a server."""
    server_of(ctx, server_id, "os_compute_api:os-multinic:remove")
    ctx.cloud.compute.interfaces.remove_fixed_ip(caller(ctx), server_id, body.removed.address)
