"""Servers."""

from __future__ import annotations

from typing import Any

from sundog.api.compute.common import around, caller, flavor_of, new_password, server_of, stepped
from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas import servers as schemas
from sundog.api.compute.server_filters import Question, question
from sundog.api.compute.server_requests import changes_of, counts, new_server, pinned
from sundog.api.compute.service import SERVICE
from sundog.api.compute.views import servers as views
from sundog.api.compute.views.common import BASE
from sundog.api.kit.context import Context
from sundog.api.kit.paging import next_link
from sundog.api.kit.service import Reply
from sundog.control.compute.records import Server
from sundog.errors import Forbidden

# ---------------------------------------------------------------- create


@stepped(
    "POST", f"{BASE}/servers", RULES["os_compute_api:servers:create"], bodies=schemas.CREATE, status=202
)  # fmt: skip
async def create_server(ctx: Context, body: schemas.CreateServer) -> Reply:
    """Make a server, or several, and begin to build them."""
    if ctx.who.project_id is None:
        raise Forbidden("A server belongs to a project; ask with a token that is scoped to one.")
    told = body.server.model_dump(by_alias=True, exclude_unset=True)
    hints = body.hints or body.old_hints
    least, most = counts(told)
    new = new_server(
        ctx, told, {} if hints is None else hints.model_dump(exclude_unset=True), flavor_of(ctx, told["flavorRef"])
    )
    made = ctx.cloud.compute.servers.create(caller(ctx), new, min_count=least, max_count=most)
    if body.server.return_reservation_id:
        return Reply({"reservation_id": made[0].reservation_id})
    groups = told.get("security_groups", [{"name": "default"}])
    server = views.created(ctx.link(""), made[0], groups)
    server["adminPass"] = told.get("adminPass") or new_password()
    return Reply({"server": server}, headers={"location": server["links"][0]["href"]})


# ---------------------------------------------------------------- list and show


@stepped("GET", f"{BASE}/servers", RULES["os_compute_api:servers:index"], queries=schemas.LIST)
async def list_servers(ctx: Context, query: schemas.ListServers) -> dict[str, Any]:
    """List the servers of the project by name."""
    asked = question(ctx, query, all_tenants_rule="os_compute_api:servers:index:get_all_tenants")
    servers = _found(ctx, asked)
    root = ctx.link("")
    return {"servers": [views.basic(root, each) for each in servers]} | _more(ctx, asked, servers)


@stepped("GET", f"{BASE}/servers/detail", RULES["os_compute_api:servers:detail"], queries=schemas.LIST)
async def list_servers_with_details(ctx: Context, query: schemas.ListServers) -> dict[str, Any]:
    """List the servers of the project with all that is told of them."""
    asked = question(ctx, query, all_tenants_rule="os_compute_api:servers:detail:get_all_tenants")
    servers = _found(ctx, asked)
    shape, near = views.shape(ctx, ctx.who.project_id or "", groups=False), around(ctx, servers)
    return {"servers": [views.detailed(shape, each, near) for each in servers]} | _more(ctx, asked, servers)


def _found(ctx: Context, asked: Question) -> list[Server]:
    if asked.query is None:
        return []
    found: list[Server] = ctx.cloud.compute.servers.list_all(asked.viewer, asked.query)
    return found


def _more(ctx: Context, asked: Question, servers: list[Server]) -> dict[str, Any]:
    """The link to the next page. As Nova has it, a page that is just full has one, whether there is more or not."""
    if not servers or len(servers) < asked.limit:
        return {}
    return {"servers_links": [{"rel": "next", "href": next_link(ctx, servers[-1].id)}]}


@stepped(
    "GET", f"{BASE}/servers/{{server_id}}", RULES["os_compute_api:servers:show"], queries=schemas.SHOW, own=False
)  # fmt: skip
async def show_server(ctx: Context, server_id: str) -> dict[str, Any]:
    """Show a server."""
    server = server_of(ctx, server_id, "os_compute_api:servers:show")
    return {"server": views.detailed(views.shape(ctx, server.project_id), server, around(ctx, [server]))}


# ---------------------------------------------------------------- update and delete


@stepped(
    "PUT", f"{BASE}/servers/{{server_id}}", RULES["os_compute_api:servers:update"], bodies=schemas.UPDATE, own=False
)  # fmt: skip
async def update_server(ctx: Context, server_id: str, body: schemas.UpdateServer) -> dict[str, Any]:
    """Change what a server is called, and the like."""
    server = server_of(ctx, server_id, "os_compute_api:servers:update")
    told = body.server.model_dump(by_alias=True, exclude_unset=True)
    changes = changes_of(told)
    if "pinned_availability_zone" in told:
        host = ctx.cloud.compute.hosts.by_uuid(server.host)
        changes["availability_zone"] = pinned(server, host, told["pinned_availability_zone"])
    server = ctx.cloud.compute.servers.update(caller(ctx), server_id, changes)
    return {"server": views.detailed(views.shape(ctx, server.project_id, short=True), server, around(ctx, [server]))}


@SERVICE.operation(
    "DELETE", f"{BASE}/servers/{{server_id}}", RULES["os_compute_api:servers:delete"], status=204, own=False
)
async def delete_server(ctx: Context, server_id: str) -> None:
    """Delete a server."""
    server_of(ctx, server_id, "os_compute_api:servers:delete")
    ctx.cloud.compute.servers.delete(caller(ctx), server_id)
