"""Roles, and which imply which."""

from __future__ import annotations

from typing import Any

from sundog.api.identity import policy, told, views
from sundog.api.identity.lists import collection
from sundog.api.identity.schemas import CreateRole, RoleListing, UpdateRole
from sundog.api.identity.service import SERVICE
from sundog.api.identity.targets import about, seen
from sundog.api.kit.context import Context
from sundog.api.kit.policy import Rule
from sundog.control.identity.records import ROOT, Role


@SERVICE.operation("GET", "/v3/roles", policy.LIST_ROLES, own=False)
async def list_roles(ctx: Context, query: RoleListing) -> dict[str, Any]:
    """List the roles of all domains, or of one."""
    ctx.require(policy.LIST_DOMAIN_ROLES if query.domain_id else policy.LIST_ROLES, {})
    found = ctx.cloud.identity.roles.list_all(query.domain_id or ROOT)
    return collection(ctx, "roles", [views.role(ctx, each) for each in found], query, ("name",))


@SERVICE.operation("POST", "/v3/roles", policy.CREATE_ROLE, status=201, own=False)
async def create_role(ctx: Context, body: CreateRole) -> dict[str, Any]:
    """Create a role of all domains, or of one."""
    values = told.lean(told.given(body.role))
    ctx.require(policy.CREATE_DOMAIN_ROLE if body.role.domain_id else policy.CREATE_ROLE, {})
    with told.bad_if_missing():
        role = ctx.cloud.identity.roles.create(**values, extra=told.rest(body.role))
    return {"role": views.role(ctx, role)}


@SERVICE.operation("GET", "/v3/roles/{role_id}", policy.GET_ROLE, own=False)
async def show_role(ctx: Context, role_id: str) -> dict[str, Any]:
    """Show a role."""
    return {"role": views.role(ctx, _shown(ctx, policy.GET_ROLE, policy.GET_DOMAIN_ROLE, role_id))}


@SERVICE.operation("PATCH", "/v3/roles/{role_id}", policy.UPDATE_ROLE, own=False)
async def update_role(ctx: Context, role_id: str, body: UpdateRole) -> dict[str, Any]:
    """Change a role."""
    role = _shown(ctx, policy.UPDATE_ROLE, policy.UPDATE_DOMAIN_ROLE, role_id)
    told.check_same(body.role, "role", id=role.id, domain_id=role.domain_id or None)
    role = ctx.cloud.identity.roles.update(role_id, told.given(body.role), extra=told.rest(body.role))
    return {"role": views.role(ctx, role)}


@SERVICE.operation("DELETE", "/v3/roles/{role_id}", policy.DELETE_ROLE, status=204, own=False)
async def delete_role(ctx: Context, role_id: str) -> None:
    """Delete a role, and take it from everybody."""
    _shown(ctx, policy.DELETE_ROLE, policy.DELETE_DOMAIN_ROLE, role_id)
    ctx.cloud.identity.roles.delete(role_id)


@SERVICE.operation("GET", "/v3/roles/{prior_id}/implies", policy.LIST_IMPLIED_ROLES)
async def list_implied_roles(ctx: Context, prior_id: str) -> dict[str, Any]:
    """List the roles that a role implies by itself."""
    ((prior, implied),) = ctx.cloud.identity.roles.implications(prior_id)
    links = {"self": ctx.link(f"/v3/roles/{prior_id}/implies")}
    return {"role_inference": views.inference(prior, implied, ctx), "links": links}


@SERVICE.operation("PUT", "/v3/roles/{prior_id}/implies/{implied_id}", policy.CREATE_IMPLIED_ROLE, status=201)
async def create_implied_role(ctx: Context, prior_id: str, implied_id: str) -> dict[str, Any]:
    """Let a role imply another."""
    prior, implied = ctx.cloud.identity.roles.imply(prior_id, implied_id)
    return views.implication(prior, implied, ctx)


@SERVICE.operation("GET", "/v3/roles/{prior_id}/implies/{implied_id}", policy.GET_IMPLIED_ROLE)
async def show_implied_role(ctx: Context, prior_id: str, implied_id: str) -> dict[str, Any]:
    """Show that a role implies another."""
    prior, implied = ctx.cloud.identity.roles.implied(prior_id, implied_id)
    return views.implication(prior, implied, ctx)


@SERVICE.operation("HEAD", "/v3/roles/{prior_id}/implies/{implied_id}", policy.CHECK_IMPLIED_ROLE, status=204)
async def check_implied_role(ctx: Context, prior_id: str, implied_id: str) -> None:
    """Check that a role implies another."""
    ctx.cloud.identity.roles.implied(prior_id, implied_id)


@SERVICE.operation("DELETE", "/v3/roles/{prior_id}/implies/{implied_id}", policy.DELETE_IMPLIED_ROLE, status=204)
async def delete_implied_role(ctx: Context, prior_id: str, implied_id: str) -> None:
    """Let a role no longer imply another."""
    ctx.cloud.identity.roles.unimply(prior_id, implied_id)


@SERVICE.operation("GET", "/v3/role_inferences", policy.LIST_ROLE_INFERENCE_RULES)
async def list_role_inferences(ctx: Context) -> dict[str, Any]:
    """List which roles imply which."""
    every = ctx.cloud.identity.roles.implications()
    return {
        "role_inferences": [views.inference(prior, implied, ctx) for prior, implied in every],
        "links": {"self": ctx.link("/v3/role_inferences"), "previous": None, "next": None},
    }


def _shown(ctx: Context, rule: Rule, in_domain: Rule, role_id: str) -> Role:
    """A role, by the rule for all domains' roles or for a single one's.

    Raises: Forbidden, NotFound.
    """
    role = seen(ctx.cloud.identity.roles.show, role_id)
    ctx.require(in_domain if role is not None and role.domain_id != ROOT else rule, about(role=role))
    found: Role = ctx.cloud.identity.roles.show(role_id)
    return found
