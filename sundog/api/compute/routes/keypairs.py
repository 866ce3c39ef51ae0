"""Keypairs."""

from __future__ import annotations

from typing import Any

from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas import keypairs as schemas
from sundog.api.compute.service import SERVICE
from sundog.api.compute.views import keypairs as views
from sundog.api.compute.views.common import next_links, page_limit
from sundog.api.kit.context import Context
from sundog.api.kit.policy import Rule
from sundog.control.compute.keypairs import SSH

LIST = RULES["os_compute_api:os-keypairs:index"]
SHOW = RULES["os_compute_api:os-keypairs:show"]
CREATE = RULES["os_compute_api:os-keypairs:create"]
DELETE = RULES["os_compute_api:os-keypairs:delete"]
MANY = "/v2.1/os-keypairs"
ONE = "/v2.1/os-keypairs/{name}"


def _user(ctx: Context, rule: Rule, user_id: str | None) -> str:
    """Whose keypairs a request is about: the caller's own unless another user is named, which the rule must allow."""
    user = user_id or ctx.who.user_id
    ctx.require(rule, {"user_id": user})
    return user


@SERVICE.operation("GET", MANY, LIST, until="2.9", own=False)
async def list_keypairs(ctx: Context) -> dict[str, Any]:
    """List the caller's keypairs."""
    keys = ctx.cloud.compute.keypairs.list_all(_user(ctx, LIST, None))
    return {"keypairs": [{"keypair": views.listed(ctx, each)} for each in keys]}


@SERVICE.operation("GET", MANY, LIST, since="2.10", until="2.34", own=False)
async def list_keypairs_2_10(ctx: Context, query: schemas.OfUser) -> dict[str, Any]:
    """List the keypairs of a user."""
    keys = ctx.cloud.compute.keypairs.list_all(_user(ctx, LIST, query.user_id))
    return {"keypairs": [{"keypair": views.listed(ctx, each)} for each in keys]}


@SERVICE.operation("GET", MANY, LIST, since="2.35", until="2.74", own=False)
async def list_keypairs_2_35(ctx: Context, query: schemas.ListKeypairs_2_35) -> dict[str, Any]:
    """List the keypairs of a user, page by page."""
    return _page(ctx, query)


@SERVICE.operation("GET", MANY, LIST, since="2.75", own=False)
async def list_keypairs_2_75(ctx: Context, query: schemas.ListKeypairs_2_75) -> dict[str, Any]:
    """List the keypairs of a user, page by page."""
    return _page(ctx, query)


@SERVICE.operation("GET", ONE, SHOW, until="2.9", own=False)
async def show_keypair(ctx: Context, name: str) -> dict[str, Any]:
    """Show a keypair of the caller."""
    return {"keypair": views.shown(ctx, ctx.cloud.compute.keypairs.show(_user(ctx, SHOW, None), name))}


@SERVICE.operation("GET", ONE, SHOW, since="2.10", until="2.74", own=False)
async def show_keypair_2_10(ctx: Context, name: str, query: schemas.OfUser) -> dict[str, Any]:
    """Show a keypair of a user."""
    return {"keypair": views.shown(ctx, ctx.cloud.compute.keypairs.show(_user(ctx, SHOW, query.user_id), name))}


@SERVICE.operation("GET", ONE, SHOW, since="2.75", own=False)
async def show_keypair_2_75(ctx: Context, name: str, query: schemas.OfUser_2_75) -> dict[str, Any]:
    """Show a keypair of a user."""
    return {"keypair": views.shown(ctx, ctx.cloud.compute.keypairs.show(_user(ctx, SHOW, query.user_id), name))}


@SERVICE.operation("POST", MANY, CREATE, until="2.1", own=False)
async def create_keypair(ctx: Context, body: schemas.CreateKeypair) -> dict[str, Any]:
    """Import a public key, or make up a keypair."""
    return _created(ctx, body.keypair)


@SERVICE.operation("POST", MANY, CREATE, status=201, since="2.2", until="2.9", own=False)
async def create_keypair_2_2(ctx: Context, body: schemas.CreateKeypair_2_2) -> dict[str, Any]:
    """Import a public key, or make up a keypair."""
    return _created(ctx, body.keypair)


@SERVICE.operation("POST", MANY, CREATE, status=201, since="2.10", until="2.91", own=False)
async def create_keypair_2_10(ctx: Context, body: schemas.CreateKeypair_2_10) -> dict[str, Any]:
    """Import a public key, or make up a keypair."""
    return _created(ctx, body.keypair)


@SERVICE.operation("POST", MANY, CREATE, status=201, since="2.92", own=False)
async def create_keypair_2_92(ctx: Context, body: schemas.CreateKeypair_2_92) -> dict[str, Any]:
    """Import a public key."""
    return _created(ctx, body.keypair)


@SERVICE.operation("DELETE", ONE, DELETE, status=202, until="2.1", own=False)
async def delete_keypair(ctx: Context, name: str) -> None:
    """Delete a keypair of the caller."""
    ctx.cloud.compute.keypairs.delete(_user(ctx, DELETE, None), name)


@SERVICE.operation("DELETE", ONE, DELETE, status=204, since="2.2", until="2.9", own=False)
async def delete_keypair_2_2(ctx: Context, name: str) -> None:
    """Delete a keypair of the caller."""
    ctx.cloud.compute.keypairs.delete(_user(ctx, DELETE, None), name)


@SERVICE.operation("DELETE", ONE, DELETE, status=204, since="2.10", until="2.74", own=False)
async def delete_keypair_2_10(ctx: Context, name: str, query: schemas.OfUser) -> None:
    """Delete a keypair of a user."""
    ctx.cloud.compute.keypairs.delete(_user(ctx, DELETE, query.user_id), name)


@SERVICE.operation("DELETE", ONE, DELETE, status=204, since="2.75", own=False)
async def delete_keypair_2_75(ctx: Context, name: str, query: schemas.OfUser_2_75) -> None:
    """Delete a keypair of a user."""
    ctx.cloud.compute.keypairs.delete(_user(ctx, DELETE, query.user_id), name)


def _page(ctx: Context, query: schemas.ListKeypairs_2_35 | schemas.ListKeypairs_2_75) -> dict[str, Any]:
    user = _user(ctx, LIST, query.user_id)
    keys = ctx.cloud.compute.keypairs.list_all(user, marker=query.marker, limit=page_limit(query.limit))
    more = next_links(ctx, [each.name for each in keys], query.limit)
    told: dict[str, Any] = {"keypairs": [{"keypair": views.listed(ctx, each)} for each in keys]}
    return told | ({"keypairs_links": more} if more else {})


def _created(ctx: Context, new: schemas.AnyNewKeypair) -> dict[str, Any]:
    user, keypairs = _user(ctx, CREATE, getattr(new, "user_id", None)), ctx.cloud.compute.keypairs
    told = {"kind": getattr(new, "type", SSH), "project_id": ctx.who.project_id or ""}
    if new.public_key is None:
        key, private_key = keypairs.generate(user, new.name, **told)
        return {"keypair": views.created(ctx, key, private_key)}
    return {"keypair": views.created(ctx, keypairs.add(user, new.name, new.public_key, **told), None)}
