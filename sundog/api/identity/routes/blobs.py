"""Credentials of users and policies of services: kept for others, told to whom they belong."""

from __future__ import annotations

import json
from typing import Any

from sundog.api.identity import policy, told, views
from sundog.api.identity.lists import collection
from sundog.api.identity.schemas import (
    BlobListing,
    CreateBlob,
    CreatePolicy,
    PolicyListing,
    UpdateBlob,
    UpdatePolicy,
)
from sundog.api.identity.service import SERVICE
from sundog.api.identity.targets import seen
from sundog.api.kit.context import Context
from sundog.api.kit.policy import Rule
from sundog.control.identity.records import Credential
from sundog.errors import Forbidden


@SERVICE.operation("GET", "/v3/credentials", policy.LIST_CREDENTIALS, own=False)
async def list_credentials(ctx: Context, query: BlobListing) -> dict[str, Any]:
    """List the credentials that the caller may see."""
    ctx.require(policy.LIST_CREDENTIALS, _target(ctx.who.user_id))
    every: list[Credential] = ctx.cloud.identity.credentials.list_all()
    own = [each for each in every if ctx.may(policy.GET_CREDENTIAL, _target(each.user_id))]
    items = [views.kept(ctx, each) for each in own if _in_bounds(ctx, each.project_id)]
    return collection(ctx, "credentials", items, query, ("user_id", "type"))


@SERVICE.operation("POST", "/v3/credentials", policy.CREATE_CREDENTIAL, status=201, own=False)
async def create_credential(ctx: Context, body: CreateBlob) -> dict[str, Any]:
    """Create a credential."""
    part = body.credential
    user_id = part.user_id or ctx.who.user_id
    ctx.require(policy.CREATE_CREDENTIAL, _target(user_id))
    _check_bounds(ctx, part.project_id)
    with told.bad_if_missing():
        credential = ctx.cloud.identity.credentials.create(
            user_id, part.type, _text(part.blob), project_id=part.project_id, extra=told.rest(part)
        )
    return {"credential": views.kept(ctx, credential)}


@SERVICE.operation("GET", "/v3/credentials/{credential_id}", policy.GET_CREDENTIAL, own=False)
async def show_credential(ctx: Context, credential_id: str) -> dict[str, Any]:
    """Show a credential."""
    return {"credential": views.kept(ctx, _shown(ctx, policy.GET_CREDENTIAL, credential_id))}


@SERVICE.operation("PATCH", "/v3/credentials/{credential_id}", policy.UPDATE_CREDENTIAL, own=False)
async def update_credential(ctx: Context, credential_id: str, body: UpdateBlob) -> dict[str, Any]:
    """Change a credential, but not whose it is."""
    current, part = _shown(ctx, policy.UPDATE_CREDENTIAL, credential_id), body.credential
    told.check_same(
        part,
        "credential",
        id=current.id,
        type=current.type,
        user_id=current.user_id,
        project_id=current.project_id,
    )
    changes = told.given(part)
    if "blob" in changes:
        changes["blob"] = _text(changes["blob"])
    credential = ctx.cloud.identity.credentials.update(credential_id, changes, extra=told.rest(part))
    return {"credential": views.kept(ctx, credential)}


@SERVICE.operation("DELETE", "/v3/credentials/{credential_id}", policy.DELETE_CREDENTIAL, status=204, own=False)
async def delete_credential(ctx: Context, credential_id: str) -> None:
    """Delete a credential."""
    _shown(ctx, policy.DELETE_CREDENTIAL, credential_id)
    ctx.cloud.identity.credentials.delete(credential_id)


@SERVICE.operation("GET", "/v3/policies", policy.LIST_POLICIES)
async def list_policies(ctx: Context, query: PolicyListing) -> dict[str, Any]:
    """List policies."""
    items = [views.policy(ctx, each) for each in ctx.cloud.identity.policies.list_all()]
    return collection(ctx, "policies", items, query, ("type",))


@SERVICE.operation("POST", "/v3/policies", policy.CREATE_POLICY, status=201)
async def create_policy(ctx: Context, body: CreatePolicy) -> dict[str, Any]:
    """Create a policy."""
    part = body.policy
    made = ctx.cloud.identity.policies.create(part.type, _text(part.blob), extra=told.rest(part))
    return {"policy": views.policy(ctx, made)}


@SERVICE.operation("GET", "/v3/policies/{policy_id}", policy.GET_POLICY)
async def show_policy(ctx: Context, policy_id: str) -> dict[str, Any]:
    """Show a policy."""
    return {"policy": views.policy(ctx, ctx.cloud.identity.policies.show(policy_id))}


@SERVICE.operation("PATCH", "/v3/policies/{policy_id}", policy.UPDATE_POLICY)
async def update_policy(ctx: Context, policy_id: str, body: UpdatePolicy) -> dict[str, Any]:
    """Change a policy."""
    told.check_same(body.policy, "policy", id=policy_id)
    changes = told.given(body.policy)
    if "blob" in changes:
        changes["blob"] = _text(changes["blob"])
    changed = ctx.cloud.identity.policies.update(policy_id, changes, extra=told.rest(body.policy))
    return {"policy": views.policy(ctx, changed)}


@SERVICE.operation("DELETE", "/v3/policies/{policy_id}", policy.DELETE_POLICY, status=204)
async def delete_policy(ctx: Context, policy_id: str) -> None:
    """Delete a policy."""
    ctx.cloud.identity.policies.delete(policy_id)


def _target(user_id: str) -> dict[str, Any]:
    return {"target.credential.user_id": user_id}


def _text(blob: str | dict[str, Any]) -> str:
    """A blob may be sent as JSON; it is kept as text."""
    return blob if isinstance(blob, str) else json.dumps(blob)


def _shown(ctx: Context, rule: Rule, credential_id: str) -> Credential:
    """Raises: Forbidden, NotFound."""
    credential: Credential | None = seen(ctx.cloud.identity.credentials.show, credential_id)
    ctx.require(rule, _target(credential.user_id) if credential is not None else {})
    found: Credential = ctx.cloud.identity.credentials.show(credential_id)
    _check_bounds(ctx, found.project_id)
    return found


def _in_bounds(ctx: Context, project_id: str | None) -> bool:
    """A program with an application credential reaches what belongs to its project, and nothing else of its user."""
    session = ctx.cloud.identity.tokens.session(ctx.request.headers["x-auth-token"])
    return session.credential is None or (not session.delegated and project_id == session.credential.project_id)


def _check_bounds(ctx: Context, project_id: str | None) -> None:
    """Raises: Forbidden for what is out of bounds for the caller's application credential."""
    if not _in_bounds(ctx, project_id):
        raise Forbidden(
            "You are not authorized to perform the requested action: Credential project does not match the project "
            "scope of the delegated token."
        )
