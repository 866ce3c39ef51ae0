"""Flavors."""

from __future__ import annotations

from typing import Any

from sundog.api.compute.policy import RULES
from sundog.api.compute.views.common import links
from sundog.api.kit.context import Context
from sundog.control.compute.records import Flavor


def brief(ctx: Context, flavor: Flavor) -> dict[str, Any]:
    """A flavor in a list."""
    told = {"id": flavor.id, "name": flavor.name, "links": links(ctx, "flavors", flavor.id)}
    return told | ({"description": flavor.description} if ctx.at_least("2.55") else {})


def full(ctx: Context, flavor: Flavor, *, specs: bool = True) -> dict[str, Any]:
    """A flavor with all that is known of it; its extra specs only if ``specs``, and since 2.61."""
    told = brief(ctx, flavor) | {
        "ram": flavor.memory_mb,
        "disk": flavor.root_gb,
        "vcpus": flavor.vcpus,
        "swap": flavor.swap_mb or (0 if ctx.at_least("2.75") else ""),
        "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral_gb,
        "os-flavor-access:is_public": flavor.is_public,
    }
    if not ctx.at_least("2.102"):
        told |= {"OS-FLV-DISABLED:disabled": flavor.disabled, "rxtx_factor": flavor.rxtx_factor}
    if specs and ctx.at_least("2.61"):
        told["extra_specs"] = dict(flavor.extra_specs)
    return told


def may_see_specs(ctx: Context) -> bool:
    """Whether the caller may see extra specs, which are of no project: so they are those of the caller's own."""
    rule = RULES["os_compute_api:os-flavor-extra-specs:index"]
    return ctx.at_least("2.61") and ctx.may(rule, {"project_id": ctx.who.project_id or ""})


def access(flavor_id: str, projects: list[str]) -> dict[str, Any]:
    """The projects with access to a flavor."""
    return {"flavor_access": [{"flavor_id": flavor_id, "tenant_id": each} for each in projects]}
