"""What is inside servers, as far as it is told: passwords, topology."""

from __future__ import annotations

from typing import Any, Final

from sundog.api.compute.common import server_of, stepped
from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas.server_details import nothing
from sundog.api.compute.service import SERVICE
from sundog.api.compute.views.common import BASE
from sundog.api.kit.context import Context

_SERVER: Final = f"{BASE}/servers/{{server_id}}"
_SECRETS: Final = "os_compute_api:os-server-password"
_TOPOLOGY: Final = "compute:server:topology:index"


@stepped("GET", f"{_SERVER}/os-server-password", RULES[f"{_SECRETS}:show"], queries=nothing(), own=False)
async def show_server_password(ctx: Context, server_id: str) -> dict[str, str]:
    """Show the password that a guest has left, encrypted, for its owner: none ever does."""
    server_of(ctx, server_id, f"{_SECRETS}:show")
    return {"password": ""}


@SERVICE.operation("DELETE", f"{_SERVER}/os-server-password", RULES[f"{_SECRETS}:clear"], status=204, own=False)
async def clear_server_password(ctx: Context, server_id: str) -> None:
    """Forget the password that a guest has left."""
    server_of(ctx, server_id, f"{_SECRETS}:clear")


@stepped("GET", f"{_SERVER}/topology", RULES[_TOPOLOGY], queries=nothing("2.78"), own=False)
async def show_topology(ctx: Context, server_id: str) -> dict[str, Any]:
    """Show the NUMA topology of a server: no server has one of its own."""
    server_of(ctx, server_id, _TOPOLOGY)
    return {"nodes": [], "pagesize_kb": None}
