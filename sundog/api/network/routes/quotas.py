"""Quotas of projects."""

from __future__ import annotations

from typing import Any

from sundog.api.kit.context import Context
from sundog.api.network.policy import RULES
from sundog.api.network.schemas import UpdateQuota
from sundog.api.network.service import SERVICE
from sundog.control.network.quotas import DEFAULTS
from sundog.errors import Invalid, NotFound


@SERVICE.operation("GET", "/v2.0/quotas", RULES["update_quota"], own=False)
async def list_quotas(ctx: Context) -> dict[str, Any]:
    """List the quotas of the projects that have quotas of their own."""
    ctx.require(RULES["update_quota"], {})
    every = ctx.cloud.network.quotas.list_all()
    return {"quotas": [limits | {"project_id": each, "tenant_id": each} for each, limits in every.items()]}


@SERVICE.operation("GET", "/v2.0/quotas/tenant", RULES["get_quota"])
async def show_quota_tenant(ctx: Context) -> dict[str, Any]:
    """Show whose quotas a request is about."""
    return {"tenant": {"tenant_id": ctx.who.project_id}}


@SERVICE.operation("GET", "/v2.0/quotas/project", RULES["get_quota"])
async def show_quota_project(ctx: Context) -> dict[str, Any]:
    """Show whose quotas a request is about."""
    return {"project": {"project_id": ctx.who.project_id}}


@SERVICE.operation("GET", "/v2.0/quotas/{project_id}", RULES["get_quota"], own=False)
async def show_quota(ctx: Context, project_id: str) -> dict[str, Any]:
    """Show the quotas of a project."""
    ctx.require(RULES["get_quota"], {"project_id": project_id})
    return {"quota": ctx.cloud.network.quotas.show(project_id)}


@SERVICE.operation("GET", "/v2.0/quotas/{project_id}/default", RULES["get_quota"], own=False)
async def show_default_quota(ctx: Context, project_id: str) -> dict[str, Any]:
    """Show the quotas of projects that have none of their own."""
    ctx.require(RULES["get_quota"], {"project_id": project_id})
    return {"quota": dict(DEFAULTS)}


@SERVICE.operation("GET", "/v2.0/quotas/{project_id}/details.json", RULES["get_quota"], own=False)
async def show_quota_details_json(ctx: Context, project_id: str) -> dict[str, Any]:
    """Show the quotas of a project and what of them is used."""
    return await show_quota_details(ctx, project_id)


@SERVICE.operation("GET", "/v2.0/quotas/{project_id}/details", RULES["get_quota"], own=False)
async def show_quota_details(ctx: Context, project_id: str) -> dict[str, Any]:
    """Show the quotas of a project and what of them is used."""
    ctx.require(RULES["get_quota"], {"project_id": project_id})
    usage = ctx.cloud.network.quotas.usage(project_id)
    return {"quota": {k: {"limit": most, "used": used, "reserved": 0} for k, (most, used) in usage.items()}}


@SERVICE.operation("PUT", "/v2.0/quotas/{project_id}", RULES["update_quota"], own=False)
async def update_quota(ctx: Context, project_id: str, body: UpdateQuota) -> dict[str, Any]:
    """Change the quotas of a project."""
    ctx.require(RULES["update_quota"], {"project_id": project_id})
    changes = body.quota.model_dump(exclude_unset=True)
    for name in ("project_id", "tenant_id"):
        if changes.pop(name, project_id) not in (project_id, None):
            raise Invalid(f"{name} in the body is not that of the path")
    return {"quota": ctx.cloud.network.quotas.update(project_id, changes)}


@SERVICE.operation("DELETE", "/v2.0/quotas/{project_id}", RULES["delete_quota"], status=204, own=False)
async def delete_quota(ctx: Context, project_id: str) -> None:
    """Give a project the default quotas again."""
    ctx.require(RULES["delete_quota"], {"project_id": project_id})
    if not ctx.cloud.network.quotas.reset(project_id):
        raise NotFound(f"Quota for project {project_id} could not be found.", type="TenantQuotaNotFound")
