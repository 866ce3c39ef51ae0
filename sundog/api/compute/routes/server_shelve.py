"""Servers on the shelf: without a host, to come back one day."""

from __future__ import annotations

from typing import Any

from sundog.api.compute.common import caller, server_of, target
from sundog.api.compute.policy import RULES
from sundog.api.compute.routes.server_actions import action, plain
from sundog.api.compute.schemas import server_actions as schemas
from sundog.api.kit.context import Context

plain("shelve", "os_compute_api:os-shelve:shelve", "moves.shelve", "Shelve a server")
plain(
    "shelveOffload",
    "os_compute_api:os-shelve:shelve_offload",
    "moves.shelve_offload",
    "Free the host of a shelved server",
)


@action("unshelve", "os_compute_api:os-shelve:unshelve", bodies=schemas.UNSHELVE)
async def unshelve_server(ctx: Context, server_id: str, body: Any) -> None:
    """Bring a shelved server back onto a host."""
    server = server_of(ctx, server_id, "os_compute_api:os-shelve:unshelve")
    wanted = body.unshelve.model_dump(exclude_unset=True) if ctx.at_least("2.77") and body.unshelve else {}
    if wanted.get("host"):
        ctx.require(RULES["os_compute_api:os-shelve:unshelve_to_host"], target(server))
    ctx.cloud.compute.moves.unshelve(caller(ctx), server_id, **wanted)
