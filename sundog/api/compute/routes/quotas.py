"""Quotas of projects and users, of classes, and limits with what is used of them."""

from __future__ import annotations

from typing import Any

from sundog.api.compute.common import Steps, check_project, stepped
from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas import quotas as schemas
from sundog.api.compute.schemas.server_details import nothing
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
WHOSE: Steps = {"2.1": schemas.OfUser, "2.75": schemas.OfUser_2_75}
CHANGES: Steps = {"2.1": schemas.UpdateQuota, "2.36": schemas.UpdateQuota_2_36, "2.57": schemas.UpdateQuota_2_57}
CLASS_CHANGES: Steps = {"2.1": schemas.UpdateClass, "2.50": schemas.UpdateClass_2_50, "2.57": schemas.UpdateClass_2_57}
CLASS = "/v2.1/os-quota-class-sets/{name}"


# ---------------------------------------------------------------- of projects and users


@stepped("GET", ONE, SHOW, queries=WHOSE, own=False)
async def show_quotas(ctx: Context, project_id: str, query: schemas.OfUser) -> dict[str, Any]:
    """Show the quotas of a project, or of a user in it."""
    _allowed(ctx, SHOW, project_id)
    quotas = ctx.cloud.compute.quotas.show(project_id, query.user_id)
    return {"quota_set": {"id": project_id} | views.told_of(ctx, quotas)}


@stepped("GET", f"{ONE}/detail", DETAIL, queries=WHOSE, own=False)
async def show_quotas_in_detail(ctx: Context, project_id: str, query: schemas.OfUser) -> dict[str, Any]:
    """Show the quotas of a project, or of a user in it, and what of them is used."""
    _allowed(ctx, DETAIL, project_id)
    usage = ctx.cloud.compute.quotas.usage(project_id, query.user_id)
    return {"quota_set": {"id": project_id, **views.details(ctx, usage)}}


@SERVICE.operation("GET", f"{ONE}/defaults", DEFAULTS, own=False)
async def show_default_quotas(ctx: Context, project_id: str) -> dict[str, Any]:
    """Show the quotas of projects that have none of their own."""
    _allowed(ctx, DEFAULTS, project_id)
    return {"quota_set": {"id": project_id} | views.told_of(ctx, ctx.cloud.compute.quotas.defaults())}


@stepped("PUT", ONE, UPDATE, bodies=CHANGES, queries=WHOSE)
async def update_quotas(
    ctx: Context, project_id: str, query: schemas.OfUser, body: schemas.AnyUpdateQuota
) -> dict[str, Any]:
    """Change the quotas of a project, or of a user in it."""
    _allowed(ctx, UPDATE, project_id)
    changes = body.quota_set.model_dump(exclude={"force"}, exclude_none=True)
    quotas = ctx.cloud.compute.quotas.update(project_id, changes, user_id=query.user_id, force=body.quota_set.force)
    return {"quota_set": views.told_of(ctx, quotas)}


@stepped("DELETE", ONE, DELETE, queries=WHOSE, status=202)
async def delete_quotas(ctx: Context, project_id: str, query: schemas.OfUser) -> None:
    """Give a project, or a user in it, the default quotas again."""
    ctx.require(DELETE, {"project_id": project_id})
    ctx.cloud.compute.quotas.reset(project_id, query.user_id)


def _allowed(ctx: Context, rule: Rule, project_id: str) -> None:
    """Only an administrator is told that there is no such project; Nova cannot find out for anybody else either."""
    ctx.require(rule, {"project_id": project_id})
    if ctx.who.is_admin:
        check_project(ctx, project_id)


# ---------------------------------------------------------------- of classes


@stepped("GET", CLASS, SHOW_CLASS, queries=nothing())
async def show_quota_class(ctx: Context, name: str) -> dict[str, Any]:
    """Show the quotas of a class."""
    return {"quota_class_set": {"id": name} | views.of_class(ctx, ctx.cloud.compute.quotas.of_class(name))}


@stepped("PUT", CLASS, UPDATE_CLASS, bodies=CLASS_CHANGES)
async def update_quota_class(ctx: Context, name: str, body: schemas.AnyUpdateClass) -> dict[str, Any]:
    """Change the quotas of a class."""
    if len(name) > 255:
        raise Invalid(f"quota_class_name has {len(name)} characters, more than 255.")
    changes = body.quota_class_set.model_dump(exclude_none=True)
    return {"quota_class_set": views.of_class(ctx, ctx.cloud.compute.quotas.update_class(name, changes))}


# ---------------------------------------------------------------- limits


@stepped("GET", "/v2.1/limits", LIMITS, queries={"2.1": schemas.OfProject, "2.75": schemas.OfProject_2_75})
async def show_limits(ctx: Context, query: schemas.OfProject) -> dict[str, Any]:
    """Show the limits of a project and what of them is used."""
    project_id = ctx.who.project_id or ""
    if query.tenant_id is not None:
        ctx.require(LIMITS_OF_OTHERS, {"project_id": project_id})
        project_id = query.tenant_id
    return views.limits(ctx, ctx.cloud.compute.quotas.usage(project_id))
