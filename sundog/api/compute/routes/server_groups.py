"""Server groups."""

from __future__ import annotations

from typing import Any

from sundog.api.compute.common import Steps, caller, stepped, viewer
from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas import server_groups as schemas
from sundog.api.compute.schemas.server_details import nothing
from sundog.api.compute.service import SERVICE
from sundog.api.compute.views import server_groups as views
from sundog.api.compute.views.common import page_limit
from sundog.api.kit.context import Context
from sundog.api.kit.policy import Rule
from sundog.control.compute.groups import ServerGroup
from sundog.control.viewer import EVERYTHING, Viewer

LIST = RULES["os_compute_api:os-server-groups:index"]
LIST_ALL = RULES["os_compute_api:os-server-groups:index:all_projects"]
SHOW = RULES["os_compute_api:os-server-groups:show"]
CREATE = RULES["os_compute_api:os-server-groups:create"]
DELETE = RULES["os_compute_api:os-server-groups:delete"]
MANY = "/v2.1/os-server-groups"
ONE = "/v2.1/os-server-groups/{group_id}"
LISTS: Steps = {"2.1": schemas.ListGroups, "2.75": schemas.ListGroups_2_75}


@stepped("GET", MANY, LIST, queries=LISTS)
async def list_server_groups(ctx: Context, query: schemas.ListGroups | schemas.ListGroups_2_75) -> dict[str, Any]:
    """List the server groups of the project, or of all."""
    whose = Viewer(ctx.who.project_id)
    if query.all_projects is not None and ctx.who.is_admin:
        ctx.require(LIST_ALL, {"project_id": ctx.who.project_id or ""})
        whose = EVERYTHING
    groups = ctx.cloud.compute.groups.list_all(whose, offset=query.offset, limit=page_limit(query.limit))
    return {"server_groups": [views.group(ctx, each) for each in groups]}


@stepped("GET", ONE, SHOW, queries=nothing(), own=False)
async def show_server_group(ctx: Context, group_id: str) -> dict[str, Any]:
    """Show a server group."""
    return {"server_group": views.group(ctx, _allowed(ctx, SHOW, group_id))}


@stepped("POST", MANY, CREATE, bodies={"2.1": schemas.CreateGroup, "2.15": schemas.CreateGroup_2_15}, until="2.63")
async def create_server_group(ctx: Context, body: schemas.CreateGroup | schemas.CreateGroup_2_15) -> dict[str, Any]:
    """Create a server group with one policy."""
    return _created(ctx, body.server_group.name, body.server_group.policies[0])


@SERVICE.operation("POST", MANY, CREATE, since="2.64")
async def create_server_group_2_64(ctx: Context, body: schemas.CreateGroup_2_64) -> dict[str, Any]:
    """Create a server group, whose policy may have rules."""
    new = body.server_group
    return _created(ctx, new.name, new.policy, new.rules.max_server_per_host)


@SERVICE.operation("DELETE", ONE, DELETE, status=204, own=False)
async def delete_server_group(ctx: Context, group_id: str) -> None:
    """Delete a server group."""
    _allowed(ctx, DELETE, group_id)
    ctx.cloud.compute.groups.delete(viewer(ctx), group_id)


def _allowed(ctx: Context, rule: Rule, group_id: str) -> ServerGroup:
    """The group, if the rule lets the caller have it; others' are not there."""
    group: ServerGroup = ctx.cloud.compute.groups.show(viewer(ctx), group_id)
    ctx.require(rule, {"project_id": group.project_id})
    return group


def _created(ctx: Context, name: str, policy: str, most: int | None = None) -> dict[str, Any]:
    group = ctx.cloud.compute.groups.create(caller(ctx), name, policy, max_server_per_host=most)
    return {"server_group": views.group(ctx, group)}
