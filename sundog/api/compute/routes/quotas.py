"""Quotas of projects and users, of classes, and limits with what is used of them."""

from __future__ import annotations

from typing import Any

from sundog.api.compute.asking import check_project
from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas import quotas as schemas
from sundog.api.compute.schemas.common import NoQuery
from sundog.api.compute.service import SERVICE
from sundog.api.compute.views import quotas as views
from sundog.api.kit.context import Context
from sundog.api.kit.policy import Rule
from sundog.errors import Invalid

ROOT = "os_compute_api:os-quota-sets"
SHOW, DETAIL, DEFAULTS = RULES[f"{ROOT}:show"], RULES[f"{ROOT}:detail"], RULES[f"{ROOT}:defaults"]
UPDATE, DELETE = RULES[f"{ROOT}:update"], RULES[f"{ROOT}:delete"]
SHOW_CLASS = RULES["os_compute_api:os-quota-class-sets:show"]
UPDATE_CLASS = RULES["os_compute_api:os-quota-class-sets:update"]
LIMITS, LIMITS_OF_OTHERS = RULES["os_compute_api:limits"], RULES["os_compute_api:limits:other_project"]
ONE = "/v2.1/os-quota-sets/{project_id}"
CLASS = "/v2.1/os-quota-class-sets/{name}"


# ---------------------------------------------------------------- of projects and users


@SERVICE.operation("GET", ONE, SHOW, until="2.74", own=False)
async def show_quotas(ctx: Context, project_id: str, query: schemas.OfUser) -> dict[str, Any]:
    """Show the quotas of a project, or of a user in it."""
    _allowed(ctx, SHOW, project_id)
    quotas = ctx.cloud.compute.quotas.show(project_id, query.user_id)
    return {"quota_set": {"id": project_id} | views.told_of(ctx, quotas)}


@SERVICE.operation("GET", ONE, SHOW, since="2.75", own=False)
async def show_quotas_2_75(ctx: Context, project_id: str, query: schemas.OfUser_2_75) -> dict[str, Any]:
    """Show the quotas of a project, or of a user in it."""
    return await show_quotas(ctx, project_id, query)


@SERVICE.operation("GET", f"{ONE}/detail", DETAIL, until="2.74", own=False)
async def show_quotas_in_detail(ctx: Context, project_id: str, query: schemas.OfUser) -> dict[str, Any]:
    """Show the quotas of a project, or of a user in it, and what of them is used."""
    _allowed(ctx, DETAIL, project_id)
    usage = ctx.cloud.compute.quotas.usage(project_id, query.user_id)
    return {"quota_set": {"id": project_id, **views.details(ctx, usage)}}


@SERVICE.operation("GET", f"{ONE}/detail", DETAIL, since="2.75", own=False)
async def show_quotas_in_detail_2_75(ctx: Context, project_id: str, query: schemas.OfUser_2_75) -> dict[str, Any]:
    """Show the quotas of a project, or of a user in it, and what of them is used."""
    return await show_quotas_in_detail(ctx, project_id, query)


@SERVICE.operation("GET", f"{ONE}/defaults", DEFAULTS, own=False)
async def show_default_quotas(ctx: Context, project_id: str) -> dict[str, Any]:
    """Show the quotas of projects that have none of their own."""
    _allowed(ctx, DEFAULTS, project_id)
    return {"quota_set": {"id": project_id} | views.told_of(ctx, ctx.cloud.compute.quotas.defaults())}


@SERVICE.operation("PUT", ONE, UPDATE, until="2.35", own=False)
async def update_quotas(
    ctx: Context, project_id: str, query: schemas.OfUser, body: schemas.UpdateQuota
) -> dict[str, Any]:
    """Change the quotas of a project, or of a user in it."""
    return _updated(ctx, project_id, query, body.quota_set)


@SERVICE.operation("PUT", ONE, UPDATE, since="2.36", until="2.56", own=False)
async def update_quotas_2_36(
    ctx: Context, project_id: str, query: schemas.OfUser, body: schemas.UpdateQuota_2_36
) -> dict[str, Any]:
    """Change the quotas of a project, or of a user in it."""
    return _updated(ctx, project_id, query, body.quota_set)


@SERVICE.operation("PUT", ONE, UPDATE, since="2.57", until="2.74", own=False)
async def update_quotas_2_57(
    ctx: Context, project_id: str, query: schemas.OfUser, body: schemas.UpdateQuota_2_57
) -> dict[str, Any]:
    """Change the quotas of a project, or of a user in it."""
    return _updated(ctx, project_id, query, body.quota_set)


@SERVICE.operation("PUT", ONE, UPDATE, since="2.75", own=False)
async def update_quotas_2_75(
    ctx: Context, project_id: str, query: schemas.OfUser_2_75, body: schemas.UpdateQuota_2_57
) -> dict[str, Any]:
    """Change the quotas of a project, or of a user in it."""
    return _updated(ctx, project_id, query, body.quota_set)


@SERVICE.operation("DELETE", ONE, DELETE, status=202, until="2.74", own=False)
async def delete_quotas(ctx: Context, project_id: str, query: schemas.OfUser) -> None:
    """Give a project, or a user in it, the default quotas again."""
    ctx.require(DELETE, {"project_id": project_id})
    ctx.cloud.compute.quotas.reset(project_id, query.user_id)


@SERVICE.operation("DELETE", ONE, DELETE, status=202, since="2.75", own=False)
async def delete_quotas_2_75(ctx: Context, project_id: str, query: schemas.OfUser_2_75) -> None:
    """Give a project, or a user in it, the default quotas again."""
    await delete_quotas(ctx, project_id, query)


def _allowed(ctx: Context, rule: Rule, project_id: str) -> None:
    ctx.require(rule, {"project_id": project_id})
    check_project(ctx, project_id)


def _updated(ctx: Context, project_id: str, query: schemas.OfUser, quota_set: schemas.AnyForcedQuota) -> dict[str, Any]:
    _allowed(ctx, UPDATE, project_id)
    changes = quota_set.model_dump(exclude={"force"}, exclude_none=True)
    quotas = ctx.cloud.compute.quotas.update(project_id, changes, user_id=query.user_id, force=quota_set.force)
    return {"quota_set": views.told_of(ctx, quotas)}


# ---------------------------------------------------------------- of classes


@SERVICE.operation("GET", CLASS, SHOW_CLASS)
async def show_quota_class(ctx: Context, name: str) -> dict[str, Any]:
    """Show the quotas of a class."""
    return {"quota_class_set": {"id": name} | views.of_class(ctx, ctx.cloud.compute.quotas.of_class(name))}


@SERVICE.operation("GET", CLASS, SHOW_CLASS, since="2.102")
async def show_quota_class_2_102(ctx: Context, name: str, query: NoQuery) -> dict[str, Any]:
    """Show the quotas of a class."""
    return await show_quota_class(ctx, name)


@SERVICE.operation("PUT", CLASS, UPDATE_CLASS, until="2.49")
async def update_quota_class(ctx: Context, name: str, body: schemas.UpdateClass) -> dict[str, Any]:
    """Change the quotas of a class."""
    return _class_updated(ctx, name, body.quota_class_set)


@SERVICE.operation("PUT", CLASS, UPDATE_CLASS, since="2.50", until="2.56")
async def update_quota_class_2_50(ctx: Context, name: str, body: schemas.UpdateClass_2_50) -> dict[str, Any]:
    """Change the quotas of a class."""
    return _class_updated(ctx, name, body.quota_class_set)


@SERVICE.operation("PUT", CLASS, UPDATE_CLASS, since="2.57")
async def update_quota_class_2_57(ctx: Context, name: str, body: schemas.UpdateClass_2_57) -> dict[str, Any]:
    """Change the quotas of a class."""
    return _class_updated(ctx, name, body.quota_class_set)


def _class_updated(ctx: Context, name: str, quotas: schemas.Quota_2_57) -> dict[str, Any]:
    if len(name) > 255:
        raise Invalid(f"quota_class_name has {len(name)} characters, more than 255.")
    changes = quotas.model_dump(exclude_none=True)
    return {"quota_class_set": views.of_class(ctx, ctx.cloud.compute.quotas.update_class(name, changes))}


# ---------------------------------------------------------------- limits


@SERVICE.operation("GET", "/v2.1/limits", LIMITS, until="2.74")
async def show_limits(ctx: Context, query: schemas.OfProject) -> dict[str, Any]:
    """Show the limits of a project and what of them is used."""
    project_id = ctx.who.project_id or ""
    if query.tenant_id is not None:
        ctx.require(LIMITS_OF_OTHERS, {"project_id": project_id})
        project_id = query.tenant_id
    return views.limits(ctx, ctx.cloud.compute.quotas.usage(project_id))


@SERVICE.operation("GET", "/v2.1/limits", LIMITS, since="2.75")
async def show_limits_2_75(ctx: Context, query: schemas.OfProject_2_75) -> dict[str, Any]:
    """Show the limits of a project and what of them is used."""
    return await show_limits(ctx, query)
