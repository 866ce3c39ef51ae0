"""Servers with a new disk."""

from __future__ import annotations

from sundog.api.compute.common import around, caller, new_password, server_of, target
from sundog.api.compute.policy import RULES
from sundog.api.compute.routes.server_actions import action
from sundog.api.compute.schemas import server_actions as schemas
from sundog.api.compute.server_requests import changes_of
from sundog.api.compute.views import servers as views
from sundog.api.kit.context import Context
from sundog.api.kit.service import Reply
from sundog.control.compute.records import Server


@action("rebuild", "os_compute_api:servers:rebuild", bodies=schemas.REBUILD)
async def rebuild_server(ctx: Context, server_id: str, body: schemas.Rebuild) -> Reply:
    """Make the disk of a server anew from an image."""
    server = server_of(ctx, server_id, "os_compute_api:servers:rebuild")
    told = body.rebuild.model_dump(by_alias=True, exclude_unset=True)
    if "trusted_image_certificates" in told:
        ctx.require(RULES["os_compute_api:servers:rebuild:trusted_certs"], target(server))
    changes = changes_of(told) | ({"preserve_ephemeral": True} if told.get("preserve_ephemeral") else {})
    ctx.cloud.compute.rebuilding.rebuild(caller(ctx), server_id, image_id=told["imageRef"], changes=changes)
    return _rebuilt(ctx, server_id, told.get("adminPass") or new_password())


def _rebuilt(ctx: Context, server_id: str, password: str) -> Reply:
    server: Server = ctx.cloud.compute.servers.show(caller(ctx).viewer, server_id)
    shape = views.shape(ctx, server.project_id, short=True, rebuilt=True)
    told = views.detailed(shape, server, around(ctx, [server])) | {"adminPass": password}
    if ctx.at_least("2.57"):
        told["user_data"] = server.user_data
    return Reply({"server": told}, headers={"location": told["links"][0]["href"]})
