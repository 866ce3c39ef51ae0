"""Users."""

from __future__ import annotations

from typing import Any

from sundog.api.identity import policy, told, views
from sundog.api.identity.lists import collection
from sundog.api.identity.schemas import (
    ChangePassword,
    CreateUser,
    GroupListing,
    Listing,
    UpdateUser,
    UserListing,
)
from sundog.api.identity.service import SERVICE
from sundog.api.identity.targets import shown, within
from sundog.api.kit.context import Context
from sundog.api.kit.service import NO_TOKEN


@SERVICE.operation("GET", "/v3/users", policy.LIST_USERS, own=False)
async def list_users(ctx: Context, query: UserListing) -> dict[str, Any]:
    """List users; with a token for a domain, those of the domain."""
    ctx.require(policy.LIST_USERS, within(ctx, "target.domain_id"))
    found = [each for each in ctx.cloud.identity.users.list_all() if ctx.who.domain_id in (None, each.domain_id)]
    items = [views.user(ctx, each) for each in found]
    return collection(ctx, "users", items, query, ("domain_id", "enabled", "name"))


@SERVICE.operation("POST", "/v3/users", policy.CREATE_USER, status=201, own=False)
async def create_user(ctx: Context, body: CreateUser) -> dict[str, Any]:
    """Create a user."""
    part = body.user
    domain_id = told.domain_of(ctx, part.domain_id)
    ctx.require(policy.CREATE_USER, {"target.user.domain_id": domain_id})
    values = told.lean(told.given(part) | {"domain_id": domain_id})
    values |= await _hashed(ctx, values)
    user = ctx.cloud.identity.users.create(**values, extra=told.rest(part))
    return {"user": views.user(ctx, user)}


@SERVICE.operation("GET", "/v3/users/{user_id}", policy.GET_USER, own=False)
async def show_user(ctx: Context, user_id: str) -> dict[str, Any]:
    """Show a user."""
    return {"user": views.user(ctx, shown(ctx, policy.GET_USER, "user", ctx.cloud.identity.users.show, user_id))}


@SERVICE.operation("PATCH", "/v3/users/{user_id}", policy.UPDATE_USER, own=False)
async def update_user(ctx: Context, user_id: str, body: UpdateUser) -> dict[str, Any]:
    """Change a user."""
    user = shown(ctx, policy.UPDATE_USER, "user", ctx.cloud.identity.users.show, user_id)
    told.check_same(body.user, "user", id=user.id, domain_id=user.domain_id)
    changes = told.given(body.user)
    password = await _hashed(ctx, changes)
    user = ctx.cloud.identity.users.update(user_id, changes, **password, extra=told.rest(body.user))
    return {"user": views.user(ctx, user)}


@SERVICE.operation("DELETE", "/v3/users/{user_id}", policy.DELETE_USER, status=204, own=False)
async def delete_user(ctx: Context, user_id: str) -> None:
    """Delete a user."""
    shown(ctx, policy.DELETE_USER, "user", ctx.cloud.identity.users.show, user_id)
    ctx.cloud.identity.users.delete(user_id)


@SERVICE.operation("POST", "/v3/users/{user_id}/password", NO_TOKEN, status=204)
async def change_password(ctx: Context, user_id: str, body: ChangePassword) -> None:
    """Change the password of a user by whoever knows the old one."""
    await ctx.cloud.identity.users.change_password(user_id, body.user.original_password, body.user.password)


@SERVICE.operation("GET", "/v3/users/{user_id}/groups", policy.LIST_GROUPS_FOR_USER, own=False)
async def list_user_groups(ctx: Context, user_id: str, query: GroupListing) -> dict[str, Any]:
    """List the groups that a user is in."""
    shown(ctx, policy.LIST_GROUPS_FOR_USER, "user", ctx.cloud.identity.users.show, user_id)
    found = [
        each for each in ctx.cloud.identity.users.groups_of(user_id) if ctx.who.domain_id in (None, each.domain_id)
    ]
    return collection(ctx, "groups", [views.group(ctx, each) for each in found], query, ("name",))


@SERVICE.operation("GET", "/v3/users/{user_id}/projects", policy.LIST_USER_PROJECTS, own=False)
async def list_user_projects(ctx: Context, user_id: str, query: Listing) -> dict[str, Any]:
    """List the projects on which a user has a role."""
    shown(ctx, policy.LIST_USER_PROJECTS, "user", ctx.cloud.identity.users.show, user_id)
    found = ctx.cloud.identity.assignments.projects_for(user_id)
    items = [views.project(ctx, each) for each in found]
    return collection(ctx, "projects", items, query, ("enabled", "name"))


async def _hashed(ctx: Context, values: dict[str, Any]) -> dict[str, Any]:
    """The password among ``values``, which it is taken out of, as its hash; nothing if there is none."""
    password = values.pop("password", None)
    return {} if password is None else {"password": await ctx.cloud.identity.passwords.hash(password)}
