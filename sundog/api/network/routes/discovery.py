"""Which versions, resources and extensions there are."""

from __future__ import annotations

from typing import Any, Final

from sundog.api.kit.context import Context
from sundog.api.kit.service import NO_TOKEN
from sundog.api.network.extensions import EXTENSIONS, extension
from sundog.api.network.kinds import FLOATING_IP, GROUP, NETWORK, PORT, ROUTER, RULE, SUBNET, SUBNET_POOL
from sundog.api.network.service import SERVICE
from sundog.errors import NotFound

_KINDS: Final = (NETWORK, SUBNET, SUBNET_POOL, PORT, GROUP, RULE, ROUTER, FLOATING_IP)


@SERVICE.operation("GET", "", NO_TOKEN)
async def list_versions(ctx: Context) -> dict[str, Any]:
    """List the versions of the service: there is one."""
    link = {"rel": "self", "href": ctx.link("/v2.0/")}
    return {"versions": [{"id": "v2.0", "status": "CURRENT", "links": [link]}]}


@SERVICE.operation("GET", "/v2.0", NO_TOKEN)
async def list_resources(ctx: Context) -> dict[str, Any]:
    """List the kinds of things that there are."""
    resources = [
        {
            "name": each.one,
            "collection": each.many,
            "links": [{"rel": "self", "href": ctx.link(f"/v2.0/{each.many.replace('_', '-')}")}],
        }
        for each in _KINDS
    ]
    return {"resources": resources}


@SERVICE.operation("GET", "/v2.0/extensions", NO_TOKEN)
async def list_extensions(ctx: Context) -> dict[str, Any]:
    """List the extensions of the API that there are, and no others."""
    return {"extensions": [extension(alias) for alias in EXTENSIONS]}


@SERVICE.operation("GET", "/v2.0/extensions/{alias}", NO_TOKEN)
async def show_extension(ctx: Context, alias: str) -> dict[str, Any]:
    """Show an extension."""
    if alias not in EXTENSIONS:
        raise NotFound(f"Extensions not found: {alias}.", type="ExtensionsNotFound")
    return {"extension": extension(alias)}
