"""Keypairs."""

from __future__ import annotations

from typing import Any

from sundog.api.compute.common import Steps, stepped
from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas import keypairs as schemas
from sundog.api.compute.schemas.server_details import AnyQuery
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


LISTS: Steps = {
    "2.1": AnyQuery,
    "2.10": schemas.OfUser,
    "2.35": schemas.ListKeypairs_2_35,
    "2.75": schemas.ListKeypairs_2_75,
}
WHOSE: Steps = {"2.1": AnyQuery, "2.10": schemas.OfUser, "2.75": schemas.OfUser_2_75}
WHOSE_2_2: Steps = {"2.2": AnyQuery, "2.10": schemas.OfUser, "2.75": schemas.OfUser_2_75}
NEW: Steps = {
    "2.2": schemas.CreateKeypair_2_2,
    "2.10": schemas.CreateKeypair_2_10,
    "2.92": schemas.CreateKeypair_2_92,
}
AnyWhose = AnyQuery | schemas.OfUser | schemas.OfUser_2_75
AnyList = AnyWhose | schemas.ListKeypairs_2_35 | schemas.ListKeypairs_2_75
AnyNew = schemas.CreateKeypair_2_2 | schemas.CreateKeypair_2_10 | schemas.CreateKeypair_2_92


def _user(ctx: Context, rule: Rule, named: object) -> str:
    """Whose keypairs a request is about: the caller's own unless it names another user, which the rule must allow."""
    user = str(getattr(named, "user_id", None) or ctx.who.user_id)
    ctx.require(rule, {"user_id": user})
    return user


@stepped("GET", MANY, LIST, queries=LISTS, own=False)
async def list_keypairs(ctx: Context, query: AnyList) -> dict[str, Any]:
    """List the caller's keypairs, since 2.10 those of other users too, since 2.35 page by page."""
    user, paged = _user(ctx, LIST, query), ctx.at_least("2.35")
    limit, marker = getattr(query, "limit", None), getattr(query, "marker", None)
    keys = ctx.cloud.compute.keypairs.list_all(user, marker=marker, limit=page_limit(limit) if paged else None)
    more = next_links(ctx, [each.name for each in keys], limit) if paged else []
    told: dict[str, Any] = {"keypairs": [{"keypair": views.listed(ctx, each)} for each in keys]}
    return told | ({"keypairs_links": more} if more else {})


@stepped("GET", ONE, SHOW, queries=WHOSE, own=False)
async def show_keypair(ctx: Context, name: str, query: AnyWhose) -> dict[str, Any]:
    """Show a keypair of the caller, since 2.10 of another user too."""
    return {"keypair": views.shown(ctx, ctx.cloud.compute.keypairs.show(_user(ctx, SHOW, query), name))}


@SERVICE.operation("POST", MANY, CREATE, until="2.1", own=False)
async def create_keypair(ctx: Context, body: schemas.CreateKeypair) -> dict[str, Any]:
    """Import a public key, or make up a keypair."""
    return _created(ctx, body.keypair)


@stepped("POST", MANY, CREATE, bodies=NEW, status=201, own=False)
async def create_keypair_2_2(ctx: Context, body: AnyNew) -> dict[str, Any]:
    """Import a public key, or until 2.91 make up a keypair."""
    return _created(ctx, body.keypair)


@SERVICE.operation("DELETE", ONE, DELETE, status=202, until="2.1", own=False)
async def delete_keypair(ctx: Context, name: str) -> None:
    """Delete a keypair of the caller."""
    ctx.cloud.compute.keypairs.delete(_user(ctx, DELETE, None), name)


@stepped("DELETE", ONE, DELETE, queries=WHOSE_2_2, status=204, own=False)
async def delete_keypair_2_2(ctx: Context, name: str, query: AnyWhose) -> None:
    """Delete a keypair of the caller, since 2.10 of another user too."""
    ctx.cloud.compute.keypairs.delete(_user(ctx, DELETE, query), name)


def _created(ctx: Context, new: schemas.AnyNewKeypair) -> dict[str, Any]:
    user, keypairs = _user(ctx, CREATE, new), ctx.cloud.compute.keypairs
    told = {"kind": getattr(new, "type", SSH), "project_id": ctx.who.project_id or ""}
    if new.public_key is None:
        key, private_key = keypairs.generate(user, new.name, **told)
        return {"keypair": views.created(ctx, key, private_key)}
    return {"keypair": views.created(ctx, keypairs.add(user, new.name, new.public_key, **told), None)}
