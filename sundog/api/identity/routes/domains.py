"""Domains."""

from __future__ import annotations

from typing import Any

from sundog.api.identity import policy, told, views
from sundog.api.identity.lists import collection
from sundog.api.identity.schemas import CreateDomain, DomainListing, UpdateDomain
from sundog.api.identity.service import SERVICE
from sundog.api.identity.targets import shown, within
from sundog.api.kit.context import Context


@SERVICE.operation("GET", "/v3/domains", policy.LIST_DOMAINS, own=False)
async def list_domains(ctx: Context, query: DomainListing) -> dict[str, Any]:
    """List domains; with a token for a domain, that one."""
    ctx.require(policy.LIST_DOMAINS, within(ctx, "target.domain.id"))
    every = ctx.cloud.identity.projects.list_all(is_domain=True)
    items = [views.domain(ctx, each) for each in every if ctx.who.domain_id in (None, each.id)]
    return collection(ctx, "domains", items, query, ("enabled", "name"))


@SERVICE.operation("POST", "/v3/domains", policy.CREATE_DOMAIN, status=201)
async def create_domain(ctx: Context, body: CreateDomain) -> dict[str, Any]:
    """Create a domain."""
    values = told.lean(told.given(body.domain))
    new_id = values.pop("explicit_domain_id", None)
    domain = ctx.cloud.identity.projects.create(**values, is_domain=True, new_id=new_id, extra=told.rest(body.domain))
    return {"domain": views.domain(ctx, domain)}


@SERVICE.operation("GET", "/v3/domains/{domain_id}", policy.GET_DOMAIN, own=False)
async def show_domain(ctx: Context, domain_id: str) -> dict[str, Any]:
    """Show a domain."""
    domain = shown(ctx, policy.GET_DOMAIN, "domain", ctx.cloud.identity.projects.show_domain, domain_id)
    return {"domain": views.domain(ctx, domain)}


@SERVICE.operation("PATCH", "/v3/domains/{domain_id}", policy.UPDATE_DOMAIN)
async def update_domain(ctx: Context, domain_id: str, body: UpdateDomain) -> dict[str, Any]:
    """Change a domain."""
    domain, part = ctx.cloud.identity.projects.show_domain(domain_id), body.domain
    told.check_same(part, "domain", id=domain.id)
    changes = told.texts(told.given(part), "description")
    domain = ctx.cloud.identity.projects.update(domain_id, changes, extra=told.rest(part), tags=changes.get("tags"))
    return {"domain": views.domain(ctx, domain)}


@SERVICE.operation("DELETE", "/v3/domains/{domain_id}", policy.DELETE_DOMAIN, status=204)
async def delete_domain(ctx: Context, domain_id: str) -> None:
    """Delete a domain with all that belongs to it."""
    ctx.cloud.identity.projects.delete_domain(domain_id)
