"""Security groups and their rules."""

from __future__ import annotations

from typing import Any

from sundog.api.kit.context import Context
from sundog.api.network.kinds import (
    GROUP,
    RULE,
    allowed,
    changed,
    listed,
    made,
    new,
    several,
    shown,
    told,
    viewer,
)
from sundog.api.network.policy import RULES
from sundog.api.network.schemas import CreateRules, CreateSecurityGroups, Listing, Showing, UpdateSecurityGroup
from sundog.api.network.service import SERVICE


@SERVICE.operation("GET", "/v2.0/security-groups", RULES["get_security_group"], own=False)
async def list_security_groups(ctx: Context, query: Listing) -> dict[str, Any]:
    """List the security groups that the caller sees. The default group of the project is made if it is not there."""
    asked = ctx.request.query_params
    other = asked.get("project_id") or asked.get("tenant_id")
    project_id = other if other and ctx.who.is_admin else ctx.who.project_id
    if project_id is not None and ctx.may(RULES["get_security_group"], {"project_id": project_id}):
        ctx.cloud.network.groups.ensure_default(project_id)
    return listed(ctx, GROUP, ctx.cloud.network.groups, query)


@SERVICE.operation("POST", "/v2.0/security-groups", RULES["create_security_group"], status=201, own=False)
async def create_security_groups(ctx: Context, body: CreateSecurityGroups) -> dict[str, Any]:
    """Create a security group, or several: all or none."""
    specs = [new(ctx, GROUP, each) for each in several(body, GROUP)]
    return made(ctx, GROUP, body, ctx.cloud.network.groups.create(specs))


@SERVICE.operation("GET", "/v2.0/security-groups/{security_group_id}", RULES["get_security_group"], own=False)
async def show_security_group(ctx: Context, security_group_id: str, query: Showing) -> dict[str, Any]:
    """Show a security group."""
    record = shown(ctx, GROUP, ctx.cloud.network.groups, security_group_id)
    return {"security_group": told(ctx, GROUP, record, query.fields)}


@SERVICE.operation("PUT", "/v2.0/security-groups/{security_group_id}", RULES["update_security_group"], own=False)
async def update_security_group(ctx: Context, security_group_id: str, body: UpdateSecurityGroup) -> dict[str, Any]:
    """Change a security group."""
    record = allowed(ctx, GROUP, ctx.cloud.network.groups, security_group_id, "update")
    changes = changed(ctx, GROUP, body.security_group, record)
    group = ctx.cloud.network.groups.update(viewer(ctx), security_group_id, changes)
    return {"security_group": told(ctx, GROUP, group)}


@SERVICE.operation(
    "DELETE", "/v2.0/security-groups/{security_group_id}", RULES["delete_security_group"], status=204, own=False
)
async def delete_security_group(ctx: Context, security_group_id: str) -> None:
    """Delete a security group."""
    allowed(ctx, GROUP, ctx.cloud.network.groups, security_group_id, "delete")
    ctx.cloud.network.groups.delete(viewer(ctx), security_group_id)


@SERVICE.operation("GET", "/v2.0/security-group-rules", RULES["get_security_group_rule"], own=False)
async def list_security_group_rules(ctx: Context, query: Listing) -> dict[str, Any]:
    """List the rules that the caller sees."""
    return listed(ctx, RULE, ctx.cloud.network.rules, query)


@SERVICE.operation("POST", "/v2.0/security-group-rules", RULES["create_security_group_rule"], status=201, own=False)
async def create_security_group_rules(ctx: Context, body: CreateRules) -> dict[str, Any]:
    """Create a rule, or several: all or none."""
    specs = []
    for each in several(body, RULE):
        group = shown(ctx, GROUP, ctx.cloud.network.groups, each.security_group_id)
        spec = new(ctx, RULE, each, {"security_group:project_id": group.project_id})
        # A rule belongs to the project of its group, whatever is said.
        specs.append({name: value for name, value in spec.items() if name != "project_id"})
    return made(ctx, RULE, body, ctx.cloud.network.rules.create(viewer(ctx), specs))


@SERVICE.operation("GET", "/v2.0/security-group-rules/{rule_id}", RULES["get_security_group_rule"], own=False)
async def show_security_group_rule(ctx: Context, rule_id: str, query: Showing) -> dict[str, Any]:
    """Show a rule."""
    record = shown(ctx, RULE, ctx.cloud.network.rules, rule_id)
    return {"security_group_rule": told(ctx, RULE, record, query.fields)}


@SERVICE.operation(
    "DELETE", "/v2.0/security-group-rules/{rule_id}", RULES["delete_security_group_rule"], status=204, own=False
)
async def delete_security_group_rule(ctx: Context, rule_id: str) -> None:
    """Delete a rule."""
    allowed(ctx, RULE, ctx.cloud.network.rules, rule_id, "delete")
    ctx.cloud.network.rules.delete(viewer(ctx), rule_id)
