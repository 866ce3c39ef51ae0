"""Interfaces of servers: their ports."""

from __future__ import annotations

from typing import Any, Final

from sundog.api.compute.common import server_of, stepped
from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas.server_details import nothing
from sundog.api.compute.views import server_details as views
from sundog.api.compute.views.common import BASE
from sundog.api.kit.context import Context
from sundog.errors import NotFound

_PATH: Final = f"{BASE}/servers/{{server_id}}/os-interface"
_RULE: Final = "os_compute_api:os-attach-interfaces"


@stepped("GET", _PATH, RULES[f"{_RULE}:list"], queries=nothing(), own=False)
async def list_interfaces(ctx: Context, server_id: str) -> dict[str, Any]:
    """List the ports of a server."""
    ports = ctx.cloud.compute.servers.ports(server_of(ctx, server_id, f"{_RULE}:list"))
    return {"interfaceAttachments": [views.interface(each, tagged=ctx.at_least("2.70")) for each in ports]}


@stepped("GET", f"{_PATH}/{{port_id}}", RULES[f"{_RULE}:show"], queries=nothing(), own=False)
async def show_interface(ctx: Context, server_id: str, port_id: str) -> dict[str, Any]:
    """Show a port of a server."""
    ports = ctx.cloud.compute.servers.ports(server_of(ctx, server_id, f"{_RULE}:show"))
    port = next((each for each in ports if each.id == port_id), None)
    if port is None:
        raise NotFound(f"Instance {server_id} does not have a port with id {port_id}", port=port_id)
    return {"interfaceAttachment": views.interface(port, tagged=ctx.at_least("2.70"))}
