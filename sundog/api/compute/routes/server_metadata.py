"""Metadata of servers."""

from __future__ import annotations

from typing import Any, Final

from sundog.api.compute.common import caller, server_of, stepped
from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas.server_details import OneItem, SeveralItems, nothing
from sundog.api.compute.service import SERVICE
from sundog.api.compute.views.common import BASE
from sundog.api.kit.context import Context
from sundog.errors import Invalid, NotFound

_PATH: Final = f"{BASE}/servers/{{server_id}}/metadata"
_RULE: Final = "os_compute_api:server-metadata"


@stepped("GET", _PATH, RULES[f"{_RULE}:index"], queries=nothing(), own=False)
async def list_server_metadata(ctx: Context, server_id: str) -> dict[str, Any]:
    """List the metadata of a server."""
    return {"metadata": dict(server_of(ctx, server_id, f"{_RULE}:index").metadata)}


@SERVICE.operation("POST", _PATH, RULES[f"{_RULE}:create"], own=False)
async def update_server_metadata(ctx: Context, server_id: str, body: SeveralItems) -> dict[str, Any]:
    """Set some of the metadata of a server."""
    server_of(ctx, server_id, f"{_RULE}:create")
    return {"metadata": dict(ctx.cloud.compute.servers.update_metadata(caller(ctx), server_id, body.metadata))}


@SERVICE.operation("PUT", _PATH, RULES[f"{_RULE}:update_all"], own=False)
async def replace_server_metadata(ctx: Context, server_id: str, body: SeveralItems) -> dict[str, Any]:
    """Replace the metadata of a server."""
    server_of(ctx, server_id, f"{_RULE}:update_all")
    return {"metadata": dict(ctx.cloud.compute.servers.set_metadata(caller(ctx), server_id, body.metadata))}


@stepped("GET", f"{_PATH}/{{key}}", RULES[f"{_RULE}:show"], queries=nothing(), own=False)
async def show_server_metadata_item(ctx: Context, server_id: str, key: str) -> dict[str, Any]:
    """Show one item of the metadata of a server."""
    metadata = server_of(ctx, server_id, f"{_RULE}:show").metadata
    if key not in metadata:
        raise NotFound("Metadata item was not found", key=key)
    return {"meta": {key: metadata[key]}}


@SERVICE.operation("PUT", f"{_PATH}/{{key}}", RULES[f"{_RULE}:update"], own=False)
async def update_server_metadata_item(ctx: Context, server_id: str, key: str, body: OneItem) -> dict[str, Any]:
    """Set one item of the metadata of a server."""
    server_of(ctx, server_id, f"{_RULE}:update")
    if key not in body.meta:
        raise Invalid("Request body and URI mismatch")
    ctx.cloud.compute.servers.update_metadata(caller(ctx), server_id, body.meta)
    return {"meta": dict(body.meta)}


@SERVICE.operation("DELETE", f"{_PATH}/{{key}}", RULES[f"{_RULE}:delete"], status=204, own=False)
async def delete_server_metadata_item(ctx: Context, server_id: str, key: str) -> None:
    """Delete one item of the metadata of a server."""
    server_of(ctx, server_id, f"{_RULE}:delete")
    ctx.cloud.compute.servers.delete_metadata_item(caller(ctx), server_id, key)
