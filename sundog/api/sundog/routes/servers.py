"""Why servers are where they are."""

from __future__ import annotations

from typing import Any

from sundog.api.kit.context import Context
from sundog.api.sundog import SERVICE, policy, schemas, views
from sundog.control.viewer import Viewer


@SERVICE.operation("GET", "/servers/{server_id}/placement", policy.PLACEMENT_EXPLAIN, own=False)
async def explain_placement(ctx: Context, server_id: str, query: schemas.WhyNotHost) -> dict[str, Any]:
    """Explain where a server would go if it were placed now, and with ``host`` why it would not go there."""
    viewer = Viewer(ctx.who.project_id or "", sees_all=ctx.who.is_admin)
    server = ctx.cloud.compute.servers.show(viewer, server_id)
    target = {"project_id": server.project_id, "user_id": server.user_id}
    ctx.require(policy.PLACEMENT_EXPLAIN, target)
    names_hosts = ctx.may(policy.PLACEMENT_HOSTS, target)
    placing = ctx.cloud.compute.explaining.explain(viewer, server_id, host=query.host, hidden=not names_hosts)
    return views.placement(placing, names_hosts=names_hosts)
