"""What hosts can do, whatever they are."""

from __future__ import annotations

from typing import Any

from sundog.api.kit.context import Context
from sundog.api.sundog import SERVICE, policy, views


@SERVICE.operation("GET", "/capabilities", policy.CAPABILITIES_SHOW)
async def show_capabilities(ctx: Context) -> dict[str, Any]:
    """Show what can be done with servers on the hosts of this cloud."""
    return views.capabilities(ctx.cloud.compute.driver.capabilities)
