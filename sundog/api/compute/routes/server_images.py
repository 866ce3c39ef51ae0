"""Images of servers."""

from __future__ import annotations

from sundog.api.compute.common import caller, server_of
from sundog.api.compute.routes.server_actions import action
from sundog.api.compute.schemas import server_actions as schemas
from sundog.api.kit.context import Context
from sundog.api.kit.service import Reply


@action("createImage", "os_compute_api:servers:create_image")
async def create_image(ctx: Context, server_id: str, body: schemas.CreateImage) -> Reply:
    """Make an image of a server's disk."""
    server_of(ctx, server_id, "os_compute_api:servers:create_image")
    new = body.new
    return _image(ctx, ctx.cloud.compute.snapshots.create_image(caller(ctx), server_id, new.name.strip(), new.metadata))


@action("createBackup", "os_compute_api:os-create-backup")
async def create_backup(ctx: Context, server_id: str, body: schemas.CreateBackup) -> Reply:
    """Make an image of a server's disk, and delete the oldest of its kind beyond so many."""
    server_of(ctx, server_id, "os_compute_api:os-create-backup")
    new = body.new
    image_id = ctx.cloud.compute.snapshots.create_backup(
        caller(ctx), server_id, new.name.strip(), new.backup_type, new.rotation, metadata=new.metadata
    )
    return _image(ctx, image_id)


def _image(ctx: Context, image_id: str | None) -> Reply:
    """Where a new image is: in the body since 2.45, and in a header before."""
    if ctx.at_least("2.45"):
        return Reply({"image_id": image_id})
    return Reply(headers={} if image_id is None else {"location": f"{ctx.root}/image/v2/images/{image_id}"})
