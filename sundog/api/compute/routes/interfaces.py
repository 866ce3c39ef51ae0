"""Interfaces of servers: their ports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sundog.api.compute.common import caller, server_of, stepped
from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas.server_details import ATTACH, AttachInterface, nothing
from sundog.api.compute.service import SERVICE
from sundog.api.compute.views import server_details as views
from sundog.api.compute.views.common import BASE
from sundog.api.kit.context import Context
from sundog.control.compute.records import AskedNetwork, Server
from sundog.errors import Invalid, NotFound

_PATH: Final = f"{BASE}/servers/{{server_id}}/os-interface"
_RULE: Final = "os_compute_api:os-attach-interfaces"


@stepped("GET", _PATH, RULES[f"{_RULE}:list"], queries=nothing(), own=False)
async def list_interfaces(ctx: Context, server_id: str) -> dict[str, Any]:
    """List the ports of a server."""
    server = server_of(ctx, server_id, f"{_RULE}:list")
    ports, tags = ctx.cloud.compute.servers.ports(server), _tags(ctx, server)
    return {"interfaceAttachments": [views.interface(each, tags) for each in ports]}


@stepped("GET", f"{_PATH}/{{port_id}}", RULES[f"{_RULE}:show"], queries=nothing(), own=False)
async def show_interface(ctx: Context, server_id: str, port_id: str) -> dict[str, Any]:
    """Show a port of a server."""
    server = server_of(ctx, server_id, f"{_RULE}:show")
    port = next((each for each in ctx.cloud.compute.servers.ports(server) if each.id == port_id), None)
    if port is None:
        raise NotFound(f"Instance {server_id} does not have a port with id {port_id}", port=port_id)
    return {"interfaceAttachment": views.interface(port, _tags(ctx, server))}


@stepped("POST", _PATH, RULES[f"{_RULE}:create"], bodies=ATTACH, own=False)
async def attach_interface(ctx: Context, server_id: str, body: AttachInterface) -> dict[str, Any]:
    """Give a server a port, one that there is or a new one."""
    server = server_of(ctx, server_id, f"{_RULE}:create")
    told = body.attached
    address = told.fixed_ips[0].ip_address if told.fixed_ips else None
    if told.net_id and told.port_id:
        raise Invalid("Must not input both network_id and port_id")
    if address and not told.net_id:
        raise Invalid("Must input network_id when request IP address")
    asked = AskedNetwork(told.net_id, told.port_id, address, getattr(told, "tag", "") or None)
    port = await ctx.cloud.compute.interfaces.attach(caller(ctx), server_id, asked)
    return {"interfaceAttachment": views.interface(port, _tags(ctx, server))}


@SERVICE.operation("DELETE", f"{_PATH}/{{port_id}}", RULES[f"{_RULE}:delete"], status=202, own=False)
async def detach_interface(ctx: Context, server_id: str, port_id: str) -> None:
    """Take a port away from a server."""
    server_of(ctx, server_id, f"{_RULE}:delete")
    await ctx.cloud.compute.interfaces.detach(caller(ctx), server_id, port_id)


def _tags(ctx: Context, server: Server) -> Mapping[str, str] | None:
    """The tags of a server's ports, by port; None for a version that does not tell them."""
    tags: Mapping[str, str] | None = None
    if ctx.at_least("2.70"):
        tags = ctx.cloud.compute.servers.port_tags(server)
    return tags
