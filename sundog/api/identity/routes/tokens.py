"""Tokens, and what can be had with one."""

from __future__ import annotations

from typing import Any

from sundog.api.identity import logins, policy, views
from sundog.api.identity.lists import collection, here
from sundog.api.identity.schemas import AuthBody, Listing, TokenQuery
from sundog.api.identity.service import SERVICE
from sundog.api.kit.context import Context
from sundog.api.kit.policy import Rule
from sundog.api.kit.service import NO_TOKEN, Reply
from sundog.control.identity.tokens import Session
from sundog.errors import Forbidden


@SERVICE.operation("POST", "/v3/auth/tokens", NO_TOKEN, status=201)
async def create_token(ctx: Context, body: AuthBody, query: TokenQuery) -> Reply:
    """Give a token for a password, another token or an application credential."""
    issued = await ctx.cloud.identity.tokens.issue(logins.login(body.auth))
    ctx.notes.who = issued.session.principal
    told = views.token(issued.session, catalogue=query.nocatalog is None)
    return Reply(told, headers={"X-Subject-Token": issued.token, "Vary": "X-Auth-Token"})


@SERVICE.operation("GET", "/v3/auth/tokens", policy.VALIDATE_TOKEN, own=False)
async def show_token(ctx: Context, query: TokenQuery) -> Reply:
    """Show what a token means."""
    session = _subject(ctx, policy.VALIDATE_TOKEN)
    told = views.token(session, catalogue=query.nocatalog is None)
    return Reply(told, headers={"X-Subject-Token": _subject_token(ctx), "Vary": "X-Auth-Token"})


@SERVICE.operation("HEAD", "/v3/auth/tokens", policy.CHECK_TOKEN, own=False)
async def check_token(ctx: Context) -> None:
    """Check that a token is good."""
    _subject(ctx, policy.CHECK_TOKEN)


@SERVICE.operation("DELETE", "/v3/auth/tokens", policy.REVOKE_TOKEN, status=204, own=False)
async def revoke_token(ctx: Context) -> None:
    """Take a token back."""
    _subject(ctx, policy.REVOKE_TOKEN)
    ctx.cloud.identity.tokens.revoke(_subject_token(ctx))


@SERVICE.operation("GET", "/v3/auth/projects", policy.GET_AUTH_PROJECTS)
async def list_auth_projects(ctx: Context, query: Listing) -> dict[str, Any]:
    """List the projects that the caller can have a token for."""
    found = ctx.cloud.identity.assignments.projects_for(ctx.who.user_id)
    return collection(ctx, "projects", [views.project(ctx, each) for each in found], query)


@SERVICE.operation("GET", "/v3/auth/domains", policy.GET_AUTH_DOMAINS)
async def list_auth_domains(ctx: Context, query: Listing) -> dict[str, Any]:
    """List the domains that the caller can have a token for."""
    found = ctx.cloud.identity.assignments.domains_for(ctx.who.user_id)
    return collection(ctx, "domains", [views.domain(ctx, each) for each in found], query)


@SERVICE.operation("GET", "/v3/auth/system", policy.GET_AUTH_SYSTEM)
async def list_auth_system(ctx: Context) -> dict[str, Any]:
    """Tell whether the caller can have a token for the system."""
    there = ctx.cloud.identity.assignments.on_system(ctx.who.user_id)
    return {"system": [{"all": True}] if there else [], "links": {"self": here(ctx)}}


@SERVICE.operation("GET", "/v3/auth/catalog", policy.GET_AUTH_CATALOG)
async def show_auth_catalog(ctx: Context) -> dict[str, Any]:
    """Show the catalogue for the caller's project."""
    if ctx.who.project_id is None:
        raise Forbidden("A project-scoped token is required to produce a service catalog.")
    found = ctx.cloud.identity.catalogue.entries(ctx.who.project_id)
    return {"catalog": views.entries(found), "links": {"self": here(ctx)}}


def _subject_token(ctx: Context) -> str:
    return ctx.request.headers.get("x-subject-token", "")


def _subject(ctx: Context, rule: Rule) -> Session:
    """The token that a request is about. Whoever cannot show it learns nothing of it.

    Raises: NotFound, Forbidden.
    """
    session: Session = ctx.cloud.identity.tokens.subject(_subject_token(ctx))
    ctx.require(rule, {"target.token.user_id": session.user.id})
    return session
