"""Servers of another size."""

from __future__ import annotations

from sundog.api.compute.common import caller, flavor_of, server_of
from sundog.api.compute.routes.server_actions import action, plain
from sundog.api.compute.schemas import server_actions as schemas
from sundog.api.kit.context import Context

plain(
    "confirmResize",
    "os_compute_api:servers:confirm_resize",
    "moves.confirm_resize",
    "Confirm a resize",
    status=204,
)
plain("revertResize", "os_compute_api:servers:revert_resize", "moves.revert_resize", "Go back to the size before")


@action("resize", "os_compute_api:servers:resize")
async def resize_server(ctx: Context, server_id: str, body: schemas.Resize) -> None:
    """Give a server another flavor."""
    server_of(ctx, server_id, "os_compute_api:servers:resize")
    flavor = flavor_of(ctx, body.resize.flavorRef)
    ctx.cloud.compute.moves.resize(caller(ctx), server_id, flavor, disk_config=body.resize.disk_config)
