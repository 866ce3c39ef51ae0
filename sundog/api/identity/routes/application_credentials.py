"""Application credentials."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sundog.api.identity import policy, told, views
from sundog.api.identity.lists import collection
from sundog.api.identity.schemas import CreateCredential, CredentialListing, NamedRole
from sundog.api.identity.service import SERVICE
from sundog.api.identity.targets import seen
from sundog.api.kit.context import Context
from sundog.api.kit.policy import Rule
from sundog.control.identity.records import ApplicationCredential, Role
from sundog.errors import Forbidden, Invalid, NotFound

_ALL = "/v3/users/{user_id}/application_credentials"
_ONE = _ALL + "/{credential_id}"


@SERVICE.operation("GET", _ALL, policy.LIST_APPLICATION_CREDENTIALS, own=False)
async def list_application_credentials(ctx: Context, user_id: str, query: CredentialListing) -> dict[str, Any]:
    """List a user's application credentials."""
    ctx.require(policy.LIST_APPLICATION_CREDENTIALS, {"user_id": user_id})
    credentials = ctx.cloud.identity.application_credentials
    items = [views.credential(ctx, each, credentials.roles_of(each)) for each in credentials.list_of(user_id)]
    return collection(ctx, "application_credentials", items, query, ("name",))


@SERVICE.operation("POST", _ALL, policy.CREATE_APPLICATION_CREDENTIAL, status=201, own=False)
async def create_application_credential(ctx: Context, user_id: str, body: CreateCredential) -> dict[str, Any]:
    """Create an application credential for the project of the caller's token."""
    ctx.require(policy.CREATE_APPLICATION_CREDENTIAL, {"user_id": user_id})
    _check_not_delegated(ctx)
    part, credentials = body.application_credential, ctx.cloud.identity.application_credentials
    if ctx.who.project_id is None or part.project_id not in (None, ctx.who.project_id):
        raise Invalid("An application credential is made with a token for its project", key="project_id")
    with told.bad_if_missing():
        made = await credentials.create(
            user_id,
            ctx.who.project_id,
            part.name,
            secret=part.secret,
            description=part.description,
            role_ids=_role_ids(ctx, part.roles),
            unrestricted=bool(part.unrestricted),
            expires_at=_instant(part.expires_at),
        )
    roles = credentials.roles_of(made.credential)
    return {"application_credential": views.credential(ctx, made.credential, roles, made.secret)}


@SERVICE.operation("GET", _ONE, policy.GET_APPLICATION_CREDENTIAL, own=False)
async def show_application_credential(ctx: Context, user_id: str, credential_id: str) -> dict[str, Any]:
    """Show an application credential."""
    credential = _shown(ctx, policy.GET_APPLICATION_CREDENTIAL, user_id, credential_id)
    roles = ctx.cloud.identity.application_credentials.roles_of(credential)
    return {"application_credential": views.credential(ctx, credential, roles)}


@SERVICE.operation("DELETE", _ONE, policy.DELETE_APPLICATION_CREDENTIAL, status=204, own=False)
async def delete_application_credential(ctx: Context, user_id: str, credential_id: str) -> None:
    """Delete an application credential."""
    _shown(ctx, policy.DELETE_APPLICATION_CREDENTIAL, user_id, credential_id)
    _check_not_delegated(ctx)
    ctx.cloud.identity.application_credentials.delete(credential_id)


def _shown(ctx: Context, rule: Rule, user_id: str, credential_id: str) -> ApplicationCredential:
    """A credential, by whose it is: whoever the path names has no say in it.

    Raises: Forbidden, NotFound.
    """
    credential: ApplicationCredential | None = seen(ctx.cloud.identity.application_credentials.show, credential_id)
    ctx.require(rule, {"user_id": credential.user_id if credential is not None else user_id})
    if credential is None or credential.user_id != user_id:
        raise NotFound(f"Could not find Application Credential: {credential_id}.", id=credential_id)
    return credential


def _check_not_delegated(ctx: Context) -> None:
    """Raises: Forbidden for the token of a credential that is not allowed to make or remove others."""
    if ctx.cloud.identity.tokens.session(ctx.request.headers["x-auth-token"]).delegated:
        raise Forbidden(
            "You are not authorized to perform the requested action: Using method 'application_credential' is not "
            "allowed for managing additional application credentials."
        )


def _role_ids(ctx: Context, roles: list[NamedRole] | None) -> list[str] | None:
    """The ids of roles that are told by id or by name.

    Raises: Invalid.
    """
    if not roles:
        return None
    known: dict[str, Role] = {each.name: each for each in ctx.cloud.identity.roles.list_all()}
    ids = []
    for each in roles:
        if each.id is None and each.name not in known:
            raise Invalid(f"Could not find role: {each.name}.", role=each.name)
        ids.append(each.id if each.id is not None else known[each.name or ""].id)
    return ids


def _instant(text: str | None) -> datetime | None:
    """A time in ISO 8601, in UTC where it does not say.

    Raises: Invalid.
    """
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid("Invalid input for field/attribute expires_at: it is no time in ISO 8601") from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
