"""Security groups of a server."""

from __future__ import annotations

from typing import Any, Final

from sundog.api.compute.common import caller, server_of, stepped
from sundog.api.compute.policy import RULES
from sundog.api.compute.routes.server_actions import action
from sundog.api.compute.schemas import server_actions as schemas
from sundog.api.compute.schemas.server_details import nothing
from sundog.api.compute.views import server_details as views
from sundog.api.compute.views.common import BASE
from sundog.api.kit.context import Context
from sundog.control.viewer import Viewer

_RULE: Final = "os_compute_api:os-security-groups:list"


@stepped("GET", f"{BASE}/servers/{{server_id}}/os-security-groups", RULES[_RULE], queries=nothing(), own=False)
async def list_server_security_groups(ctx: Context, server_id: str) -> dict[str, Any]:
    """List the security groups of a server's ports."""
    server = server_of(ctx, server_id, _RULE)
    ids = {group for port in ctx.cloud.compute.servers.ports(server) for group in port.security_groups}
    groups = {each.id: each for each in ctx.cloud.network.groups.list_all(Viewer(server.project_id))}
    told = [views.security_group(group, groups) for group in groups.values() if group.id in ids]
    return {"security_groups": sorted(told, key=lambda each: (each["tenant_id"], each["name"]))}


@action("addSecurityGroup", "os_compute_api:os-security-groups:add")
async def add_security_group(ctx: Context, server_id: str, body: schemas.AddSecurityGroup) -> None:
    """Put all ports of a server into a security group."""
    server_of(ctx, server_id, "os_compute_api:os-security-groups:add")
    ctx.cloud.compute.interfaces.add_security_group(caller(ctx), server_id, body.group.name)


@action("removeSecurityGroup", "os_compute_api:os-security-groups:remove")
async def remove_security_group(ctx: Context, server_id: str, body: schemas.RemoveSecurityGroup) -> None:
    """Take all ports of a server out of a security group."""
    server_of(ctx, server_id, "os_compute_api:os-security-groups:remove")
    ctx.cloud.compute.interfaces.remove_security_group(caller(ctx), server_id, body.group.name)
