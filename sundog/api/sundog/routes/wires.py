"""Networks as they are, where they are real."""

from __future__ import annotations

from typing import Any

from sundog.api.kit.context import Context
from sundog.api.sundog import SERVICE, policy, views


@SERVICE.operation("GET", "/wires", policy.WIRES_SHOW)
async def show_wires(ctx: Context) -> dict[str, Any]:
    """Show what of networks, security groups and routers is not as it is to be, in sentences."""
    return views.wires(ctx.cloud.network.wires.report)
