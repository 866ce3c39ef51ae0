"""Which versions and extensions there are."""

from __future__ import annotations

from typing import Any

from sundog.api.compute.extensions import EXTENSIONS, extension
from sundog.api.compute.policy import RULES
from sundog.api.compute.service import SERVICE
from sundog.api.compute.views import versions as views
from sundog.api.kit.context import Context
from sundog.api.kit.service import NO_TOKEN
from sundog.errors import NotFound


@SERVICE.operation("GET", "", NO_TOKEN)
async def list_versions(ctx: Context) -> dict[str, Any]:
    """List the versions of the service."""
    return {"versions": [views.listed(ctx, number) for number in views.VERSIONS]}


@SERVICE.operation("GET", "/v2", NO_TOKEN)
async def show_old_version(ctx: Context) -> dict[str, Any]:
    """Show the version before microversions, of which nothing else is left."""
    return {"version": views.shown(ctx, "v2.0")}


@SERVICE.operation("GET", "/v2.1", NO_TOKEN)
async def show_version(ctx: Context) -> dict[str, Any]:
    """Show the version with its microversions."""
    return {"version": views.shown(ctx, "v2.1")}


@SERVICE.operation("GET", "/v2.1/extensions", RULES["os_compute_api:extensions"])
async def list_extensions(ctx: Context) -> dict[str, Any]:
    """List the names of extensions that Nova had before microversions."""
    return {"extensions": [extension(alias) for alias in EXTENSIONS]}


@SERVICE.operation("GET", "/v2.1/extensions/{alias}", RULES["os_compute_api:extensions"])
async def show_extension(ctx: Context, alias: str) -> dict[str, Any]:
    """Show an extension."""
    if alias not in EXTENSIONS:
        raise NotFound("The resource could not be found.", alias=alias)
    return {"extension": extension(alias)}
