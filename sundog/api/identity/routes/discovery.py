"""Which versions there are."""

from __future__ import annotations

from typing import Any

from sundog.api.identity import views
from sundog.api.identity.service import SERVICE
from sundog.api.kit.context import Context
from sundog.api.kit.service import NO_TOKEN, Reply


@SERVICE.operation("GET", "", NO_TOKEN, status=300)
async def list_versions(ctx: Context) -> Reply:
    """List the versions of the API."""
    return Reply({"versions": {"values": [views.version(ctx)]}}, headers={"Location": ctx.link("/v3/")})


@SERVICE.operation("GET", "/v3", NO_TOKEN)
async def show_version(ctx: Context) -> dict[str, Any]:
    """Show the version 3."""
    return {"version": views.version(ctx)}
