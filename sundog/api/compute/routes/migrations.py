"""Moves of servers between hosts: all that there were, and those of a server that are under way."""

from __future__ import annotations

from typing import Any, Final

from sundog.api.compute.common import caller, server_of, stepped, target
from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas.server_details import MIGRATIONS, nothing
from sundog.api.compute.service import SERVICE
from sundog.api.compute.views import server_details as views
from sundog.api.compute.views.common import BASE, links
from sundog.api.kit.context import Context
from sundog.api.kit.paging import MOST_ITEMS, next_link
from sundog.control.compute.migrations import MigrationQuery
from sundog.control.compute.records import Migration
from sundog.errors import Invalid, NotFound

LIVE: Final = "live-migration"
_UNDERWAY: Final = ("queued", "preparing", "running", "post-migrating")
_ALL: Final = "os_compute_api:os-migrations"
_OF_SERVER: Final = "os_compute_api:servers:migrations"
_PATH: Final = f"{BASE}/servers/{{server_id}}/migrations"


# ---------------------------------------------------------------- all that there were


@stepped("GET", f"{BASE}/os-migrations", RULES[f"{_ALL}:index"], queries=MIGRATIONS)
async def list_migrations(ctx: Context, query: Any) -> dict[str, Any]:
    """List moves of servers, the newest first."""
    own = {"project_id": ctx.who.project_id or ""}
    if _said(query, "project_id") in (None, "") or query.project_id != ctx.who.project_id:
        ctx.require(RULES[f"{_ALL}:index:all_projects"], own)
    hosts = ctx.may(RULES[f"{_ALL}:index:host"], own)
    asked = _question(ctx, query)
    found: list[Migration] = [] if asked is None else ctx.cloud.compute.migrations.find(asked)
    told: dict[str, Any] = {"migrations": [_migration(ctx, each, hosts) for each in found]}
    if found and asked is not None and len(found) == asked.limit:
        told["migrations_links"] = [{"rel": "next", "href": next_link(ctx, found[-1].uuid)}]
    return told


def _said(query: Any, name: str) -> Any:
    """What a query says, where its version knows the key."""
    return getattr(query, name, None)


def _question(ctx: Context, query: Any) -> MigrationQuery | None:
    """What is asked for; None if a host is named that there is not.

    Raises: Invalid for a span that ends before it begins.
    """
    since, before = _said(query, "changes_since"), _said(query, "changes_before")
    if since is not None and before is not None and before < since:
        raise Invalid("The value of changes-since must be less than or equal to changes-before.")
    paged = ctx.at_least("2.59")
    limit = MOST_ITEMS if not paged or query.limit is None else min(query.limit, MOST_ITEMS)
    try:
        host, source = _uuid(ctx, query.host), _uuid(ctx, query.source_compute)
    except NotFound:
        return None
    if limit == 0:
        return None
    return MigrationQuery(
        server_id=query.instance_uuid,
        project_id=_said(query, "project_id"),
        user_id=_said(query, "user_id"),
        status=query.status,
        type=query.migration_type,
        host=host,
        source=source,
        changes_since=since,
        changes_before=before,
        limit=limit if paged else None,
        marker=_said(query, "marker"),
    )


def _uuid(ctx: Context, host: str | None) -> str | None:
    return None if host is None else ctx.cloud.compute.hosts.by_name(host).uuid


def _migration(ctx: Context, each: Migration, hosts: bool) -> dict[str, Any]:
    by_uuid = ctx.cloud.compute.hosts.by_uuid
    told = views.migration(each, by_uuid(each.source), by_uuid(each.target), hosts=hosts)
    if ctx.at_least("2.23"):
        told["migration_type"] = each.type
        if each.type == LIVE and each.status in _UNDERWAY:
            told["links"] = links(ctx, f"servers/{each.server_id}/migrations", str(each.number))
    return told | _identity(ctx, each)


def _identity(ctx: Context, each: Migration) -> dict[str, Any]:
    told = {"uuid": each.uuid} if ctx.at_least("2.59") else {}
    return told | ({"user_id": each.user_id, "project_id": each.project_id} if ctx.at_least("2.80") else {})


# ---------------------------------------------------------------- those of a server that are under way


@stepped("GET", _PATH, RULES[f"{_OF_SERVER}:index"], queries=nothing("2.23"), own=False)
async def list_server_migrations(ctx: Context, server_id: str) -> dict[str, Any]:
    """List the live migrations of a server that are under way."""
    server = server_of(ctx, server_id, f"{_OF_SERVER}:index")
    hosts = ctx.may(RULES[f"{_OF_SERVER}:index:host"], target(server))
    found = ctx.cloud.compute.migrations.find(MigrationQuery(server_id=server.id, type=LIVE))
    return {"migrations": [await _server_migration(ctx, each, hosts) for each in found if each.status in _UNDERWAY]}


@stepped("GET", f"{_PATH}/{{number}}", RULES[f"{_OF_SERVER}:show"], queries=nothing("2.23"), own=False)
async def show_server_migration(ctx: Context, server_id: str, number: str) -> dict[str, Any]:
    """Show a live migration of a server that is under way."""
    server = server_of(ctx, server_id, f"{_OF_SERVER}:show")
    try:
        each: Migration = ctx.cloud.compute.migrations.show(server.id, _number(number))
    except NotFound:
        raise NotFound(f"In-progress live migration {number} is not found for server {server.id}.") from None
    if each.type != LIVE:
        raise NotFound(f"Migration {number} for server {server.id} is not live-migration.")
    if each.status not in _UNDERWAY:
        raise NotFound(f"Live migration {number} for server {server.id} is not in progress.")
    return {"migration": await _server_migration(ctx, each, True)}


@SERVICE.operation("DELETE", f"{_PATH}/{{number}}", RULES[f"{_OF_SERVER}:delete"], status=202, since="2.24", own=False)
async def abort_server_migration(ctx: Context, server_id: str, number: str) -> None:
    """Break a live migration off: the server stays where it is."""
    server_of(ctx, server_id, f"{_OF_SERVER}:delete")
    ctx.cloud.compute.migrations.abort(caller(ctx), server_id, _number(number))


@SERVICE.operation(
    "POST",
    f"{_PATH}/{{number}}/action",
    RULES[f"{_OF_SERVER}:force_complete"],
    status=202,
    since="2.22",
    action="force_complete",
    own=False,
)
async def force_server_migration(ctx: Context, server_id: str, number: str) -> None:
    """Let a live migration come to its end: the server stands still until it is there."""
    server_of(ctx, server_id, f"{_OF_SERVER}:force_complete")
    ctx.cloud.compute.migrations.force_complete(caller(ctx), server_id, _number(number))


def _number(text: str) -> int:
    """Raises: NotFound for what is no number of a migration."""
    if not text.isdecimal() or not text.isascii() or len(text) > 9:
        raise NotFound(f"Migration {text[:64]} could not be found.", migration=text[:64])
    return int(text)


async def _server_migration(ctx: Context, each: Migration, hosts: bool) -> dict[str, Any]:
    by_uuid = ctx.cloud.compute.hosts.by_uuid
    progress = await ctx.cloud.compute.migrations.progress(each)
    told = views.server_migration(each, progress, by_uuid(each.source), by_uuid(each.target), hosts=hosts)
    return told | _identity(ctx, each)
