"""Security groups by themselves, as compute told of them until 2.35: the network's own service does it."""

from __future__ import annotations

from typing import Any, Final

from sundog.api.compute.common import viewer
from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas.common import is_uuid
from sundog.api.compute.schemas.security_groups import ListSecurityGroups, NewRule, NewSecurityGroup, neutrons_rule
from sundog.api.compute.service import SERVICE
from sundog.api.compute.views import server_details as views
from sundog.api.compute.views.common import BASE, page_limit
from sundog.api.kit.context import Context
from sundog.control.network.records import SecurityGroup
from sundog.control.viewer import EVERYTHING, Viewer
from sundog.errors import Conflict, Forbidden, Invalid, QuotaExceeded

RULE: Final = "os_compute_api:os-security-groups"
MANY: Final = f"{BASE}/os-security-groups"
ONE: Final = f"{MANY}/{{group_id}}"
RULE_PATH: Final = f"{BASE}/os-security-group-rules"
UNTIL: Final = "2.35"


@SERVICE.operation("GET", MANY, RULES[f"{RULE}:get"], until=UNTIL)
async def list_security_groups(ctx: Context, query: ListSecurityGroups) -> dict[str, Any]:
    """List the security groups of the project; those of all projects for administrators who ask for them."""
    project_id = ctx.who.project_id or ""
    ctx.cloud.network.groups.ensure_default(project_id)
    every = query.all_tenants is not None and ctx.who.is_admin
    groups = ctx.cloud.network.groups.list_all(EVERYTHING if every else Viewer(project_id))
    page = groups[query.offset :][: page_limit(query.limit or None)]
    told = [_told(ctx, each) for each in page]
    return {"security_groups": sorted(told, key=lambda each: (each["tenant_id"], each["name"]))}


@SERVICE.operation("GET", ONE, RULES[f"{RULE}:show"], until=UNTIL)
async def show_security_group(ctx: Context, group_id: str) -> dict[str, Any]:
    """Show a security group."""
    return {"security_group": _told(ctx, _group(ctx, group_id))}


@SERVICE.operation("POST", MANY, RULES[f"{RULE}:create"], until=UNTIL)
async def create_security_group(ctx: Context, body: NewSecurityGroup) -> dict[str, Any]:
    """Create a security group."""
    told = body.security_group
    spec = {"project_id": ctx.who.project_id, "name": told.name, "description": told.description}
    try:
        [made] = ctx.cloud.network.groups.create([spec])
    except (Conflict, QuotaExceeded) as error:
        raise Forbidden(error.message) from None
    return {"security_group": _told(ctx, made)}


@SERVICE.operation("PUT", ONE, RULES[f"{RULE}:update"], until=UNTIL)
async def update_security_group(ctx: Context, group_id: str, body: NewSecurityGroup) -> dict[str, Any]:
    """Change the name and the description of a security group."""
    group, told = _group(ctx, group_id), body.security_group
    changes = {"name": told.name, "description": told.description}
    try:
        return {"security_group": _told(ctx, ctx.cloud.network.groups.update(viewer(ctx), group.id, changes))}
    except Conflict as error:
        raise Invalid(error.message) from None


@SERVICE.operation("DELETE", ONE, RULES[f"{RULE}:delete"], status=202, until=UNTIL)
async def delete_security_group(ctx: Context, group_id: str) -> None:
    """Delete a security group that no port is in."""
    try:
        ctx.cloud.network.groups.delete(viewer(ctx), _group(ctx, group_id).id)
    except Conflict as error:
        raise Invalid(error.message) from None


@SERVICE.operation("POST", RULE_PATH, RULES[f"{RULE}:rule:create"], until=UNTIL)
async def create_security_group_rule(ctx: Context, body: NewRule) -> dict[str, Any]:
    """Let something more in to a security group."""
    told = body.security_group_rule
    group = _group(ctx, told.parent_group_id)
    other = None if told.group_id is None else _group(ctx, told.group_id)
    try:
        [made] = ctx.cloud.network.rules.create(viewer(ctx), [neutrons_rule(told)])
    except QuotaExceeded as error:
        raise Forbidden(error.message) from None
    except Conflict:
        raise Invalid(f"This rule already exists in group {group.id}", group=group.id) from None
    return {"security_group_rule": views.security_group_rule(made, {} if other is None else {other.id: other})}


@SERVICE.operation("DELETE", f"{RULE_PATH}/{{rule_id}}", RULES[f"{RULE}:rule:delete"], status=202, until=UNTIL)
async def delete_security_group_rule(ctx: Context, rule_id: str) -> None:
    """Let it in no more."""
    ctx.cloud.network.rules.delete(viewer(ctx), _checked(rule_id))


def _group(ctx: Context, group_id: str) -> SecurityGroup:
    """Raises: Invalid for what is no id; NotFound, for one that the caller does not see too."""
    group: SecurityGroup = ctx.cloud.network.groups.show(viewer(ctx), _checked(group_id))
    return group


def _checked(identifier: str) -> str:
    if not is_uuid(identifier):
        raise Invalid("Security group id should be uuid", id=identifier)
    return identifier


def _told(ctx: Context, group: SecurityGroup) -> dict[str, Any]:
    """A group with its rules, which name others by their names, be they of other projects or not."""
    ids = {each.remote_group_id for each in group.rules if each.remote_group_id is not None}
    others = {each: ctx.cloud.network.groups.show(EVERYTHING, each) for each in sorted(ids)}
    return views.security_group(group, others)
