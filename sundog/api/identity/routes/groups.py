"""Groups."""

from __future__ import annotations

from typing import Any

from sundog.api.identity import policy, told, views
from sundog.api.identity.lists import collection
from sundog.api.identity.schemas import CreateGroup, GroupListing, UpdateGroup, UserListing
from sundog.api.identity.service import SERVICE
from sundog.api.identity.targets import about, seen, shown, within
from sundog.api.kit.context import Context
from sundog.api.kit.policy import Rule


@SERVICE.operation("GET", "/v3/groups", policy.LIST_GROUPS, own=False)
async def list_groups(ctx: Context, query: GroupListing) -> dict[str, Any]:
    """List groups; with a token for a domain, those of the domain."""
    ctx.require(policy.LIST_GROUPS, within(ctx, "target.group.domain_id"))
    found = [each for each in ctx.cloud.identity.groups.list_all() if ctx.who.domain_id in (None, each.domain_id)]
    return collection(ctx, "groups", [views.group(ctx, each) for each in found], query, ("domain_id", "name"))


@SERVICE.operation("POST", "/v3/groups", policy.CREATE_GROUP, status=201, own=False)
async def create_group(ctx: Context, body: CreateGroup) -> dict[str, Any]:
    """Create a group."""
    values = told.given(body.group) | {"domain_id": told.domain_of(ctx, body.group.domain_id)}
    ctx.require(policy.CREATE_GROUP, {"target.group.domain_id": values["domain_id"]})
    group = ctx.cloud.identity.groups.create(**told.lean(values), extra=told.rest(body.group))
    return {"group": views.group(ctx, group)}


@SERVICE.operation("GET", "/v3/groups/{group_id}", policy.GET_GROUP, own=False)
async def show_group(ctx: Context, group_id: str) -> dict[str, Any]:
    """Show a group."""
    return {"group": views.group(ctx, shown(ctx, policy.GET_GROUP, "group", ctx.cloud.identity.groups.show, group_id))}


@SERVICE.operation("PATCH", "/v3/groups/{group_id}", policy.UPDATE_GROUP, own=False)
async def update_group(ctx: Context, group_id: str, body: UpdateGroup) -> dict[str, Any]:
    """Change a group."""
    group = shown(ctx, policy.UPDATE_GROUP, "group", ctx.cloud.identity.groups.show, group_id)
    told.check_same(body.group, "group", id=group.id, domain_id=group.domain_id)
    changes = told.texts(told.given(body.group), "description")
    group = ctx.cloud.identity.groups.update(group_id, changes, extra=told.rest(body.group))
    return {"group": views.group(ctx, group)}


@SERVICE.operation("DELETE", "/v3/groups/{group_id}", policy.DELETE_GROUP, status=204, own=False)
async def delete_group(ctx: Context, group_id: str) -> None:
    """Delete a group."""
    shown(ctx, policy.DELETE_GROUP, "group", ctx.cloud.identity.groups.show, group_id)
    ctx.cloud.identity.groups.delete(group_id)


@SERVICE.operation("GET", "/v3/groups/{group_id}/users", policy.LIST_USERS_IN_GROUP, own=False)
async def list_group_users(ctx: Context, group_id: str, query: UserListing) -> dict[str, Any]:
    """List the users in a group."""
    shown(ctx, policy.LIST_USERS_IN_GROUP, "group", ctx.cloud.identity.groups.show, group_id)
    found = [
        each for each in ctx.cloud.identity.groups.members(group_id) if ctx.who.domain_id in (None, each.domain_id)
    ]
    items = [views.user(ctx, each) for each in found]
    return collection(ctx, "users", items, query, ("domain_id", "enabled", "name"))


@SERVICE.operation("PUT", "/v3/groups/{group_id}/users/{user_id}", policy.ADD_USER_TO_GROUP, status=204, own=False)
async def add_user_to_group(ctx: Context, group_id: str, user_id: str) -> None:
    """Put a user into a group."""
    _require(ctx, policy.ADD_USER_TO_GROUP, group_id, user_id)
    ctx.cloud.identity.groups.add(group_id, user_id)


@SERVICE.operation("GET", "/v3/groups/{group_id}/users/{user_id}", policy.CHECK_USER_IN_GROUP, status=204, own=False)
@SERVICE.operation("HEAD", "/v3/groups/{group_id}/users/{user_id}", policy.CHECK_USER_IN_GROUP, status=204, own=False)
async def check_user_in_group(ctx: Context, group_id: str, user_id: str) -> None:
    """Check that a user is in a group."""
    _require(ctx, policy.CHECK_USER_IN_GROUP, group_id, user_id)
    ctx.cloud.identity.groups.check(group_id, user_id)


@SERVICE.operation(
    "DELETE", "/v3/groups/{group_id}/users/{user_id}", policy.REMOVE_USER_FROM_GROUP, status=204, own=False
)
async def remove_user_from_group(ctx: Context, group_id: str, user_id: str) -> None:
    """Take a user out of a group."""
    _require(ctx, policy.REMOVE_USER_FROM_GROUP, group_id, user_id)
    ctx.cloud.identity.groups.remove(group_id, user_id)


def _require(ctx: Context, rule: Rule, group_id: str, user_id: str) -> None:
    identity = ctx.cloud.identity
    ctx.require(rule, about(group=seen(identity.groups.show, group_id), user=seen(identity.users.show, user_id)))
