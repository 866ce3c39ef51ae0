"""Servers that go to another host."""

from __future__ import annotations

from typing import Any

from sundog.api.compute.common import caller, new_password, server_of
from sundog.api.compute.routes.server_actions import action
from sundog.api.compute.schemas import server_actions as schemas
from sundog.api.kit.context import Context
from sundog.control.compute.records import Server
from sundog.errors import Invalid, NotFound


@action("migrate", "os_compute_api:os-migrate-server:migrate", bodies=schemas.MIGRATE)
async def migrate_server(ctx: Context, server_id: str, body: Any) -> None:
    """Move a server to another host, switched off."""
    host = body.migrate.host if ctx.at_least("2.56") and body.migrate is not None else None
    rule = "os_compute_api:os-migrate-server:migrate"
    server_of(ctx, server_id, f"{rule}:host" if host else rule)
    ctx.cloud.compute.moves.migrate(caller(ctx), server_id, host=host or None)


@action("os-migrateLive", "os_compute_api:os-migrate-server:migrate_live", bodies=schemas.MIGRATE_LIVE)
async def migrate_server_live(ctx: Context, server_id: str, body: Any) -> None:
    """Move a server to another host while it runs."""
    host, rule = body.target.host, "os_compute_api:os-migrate-server:migrate_live"
    server_of(ctx, server_id, f"{rule}:host" if host else rule)
    force = _forced(ctx, body.target, host, since="2.30")
    ctx.cloud.compute.moves.live_migrate(caller(ctx), server_id, host=host or None, force=force)


@action("evacuate", "os_compute_api:os-evacuate", bodies=schemas.EVACUATE, status=200)
async def evacuate_server(ctx: Context, server_id: str, body: Any) -> dict[str, Any] | None:
    """Make a server of a dead host anew on another."""
    server = server_of(ctx, server_id, "os_compute_api:os-evacuate")
    wanted = body.evacuate
    shared = getattr(wanted, "onSharedStorage", False)
    if shared and wanted.adminPass:
        raise Invalid("admin password can't be changed on existing disk")
    force = _forced(ctx, wanted, wanted.host, since="2.29")
    if wanted.host is not None:
        _check_refuge(ctx, server, wanted.host)
    stops = ctx.at_least("2.95")
    ctx.cloud.compute.moves.evacuate(caller(ctx), server_id, host=wanted.host, force=force, stops=stops)
    if ctx.at_least("2.14"):
        return None
    return {"adminPass": wanted.adminPass or (None if shared else new_password())}


def _forced(ctx: Context, told: Any, host: str | None, *, since: str) -> bool:
    """Whether the scheduler is not to be asked: before a version that asks it, never of a host that was said.

    Raises: Invalid to force with no host.
    """
    if not ctx.at_least(since):
        return bool(host)
    force = bool(getattr(told, "force", False))
    if force and not host:
        raise Invalid("Can't force to a non-provided destination")
    return force


def _check_refuge(ctx: Context, server: Server, host: str) -> None:
    try:
        found = ctx.cloud.compute.hosts.by_name(host)
    except NotFound:
        raise NotFound(f"Compute host {host} not found.", host=host) from None
    if found.uuid == server.host:
        raise Invalid("The target host can't be the same one.", host=host)
