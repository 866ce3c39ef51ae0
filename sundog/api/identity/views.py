"""From records to what Keystone's clients read. What a client added by itself never hides what is ours."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sundog.api.kit.context import Context
from sundog.control.identity.assignments import Assignment, Names
from sundog.control.identity.catalogue import Entry
from sundog.control.identity.records import (
    ROOT,
    ApplicationCredential,
    CatalogueService,
    Credential,
    Endpoint,
    Group,
    PolicyBlob,
    Project,
    Region,
    Role,
    User,
)
from sundog.control.identity.tokens import Session

_MEDIA_TYPES: Final = [
    {"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"},
]


def time(instant: datetime) -> str:
    """An instant as Keystone writes it: UTC with microseconds and a Z."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def version(ctx: Context) -> dict[str, Any]:
    """The one version that there is."""
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": ctx.link("/v3/")}],
        "media-types": _MEDIA_TYPES,
    }


def user(ctx: Context, user: User) -> dict[str, Any]:
    """A user. A description and a default project are told only where there are any."""
    told = {
        **user.extra,
        "id": user.id,
        "name": user.name,
        "domain_id": user.domain_id,
        "enabled": user.enabled,
        "options": dict(user.options),
        "password_expires_at": None,
        "links": _self(ctx, "users", user.id),
    }
    if user.description is not None:
        told["description"] = user.description
    if user.default_project_id is not None:
        told["default_project_id"] = user.default_project_id
    return told


def group(ctx: Context, group: Group) -> dict[str, Any]:
    """A group."""
    return {
        **group.extra,
        "id": group.id,
        "name": group.name,
        "domain_id": group.domain_id,
        "description": group.description,
        "links": _self(ctx, "groups", group.id),
    }


def project(ctx: Context, project: Project) -> dict[str, Any]:
    """A project, or a domain shown as one."""
    return {
        **project.extra,
        "id": project.id,
        "name": project.name,
        "domain_id": project.domain_id or None,
        "parent_id": project.parent_id,
        "is_domain": project.is_domain,
        "enabled": project.enabled,
        "description": project.description,
        "tags": list(project.tags),
        "options": dict(project.options),
        "links": _self(ctx, "projects", project.id),
    }


def domain(ctx: Context, domain: Project) -> dict[str, Any]:
    """A domain."""
    return {
        **domain.extra,
        "id": domain.id,
        "name": domain.name,
        "enabled": domain.enabled,
        "description": domain.description,
        "tags": list(domain.tags),
        "options": dict(domain.options),
        "links": _self(ctx, "domains", domain.id),
    }


def role(ctx: Context, role: Role) -> dict[str, Any]:
    """A role."""
    return {
        **role.extra,
        "id": role.id,
        "name": role.name,
        "domain_id": None if role.domain_id == ROOT else role.domain_id,
        "description": role.description,
        "options": dict(role.options),
        "links": _self(ctx, "roles", role.id),
    }


def region(ctx: Context, region: Region) -> dict[str, Any]:
    """A region."""
    return {
        **region.extra,
        "id": region.id,
        "description": region.description,
        "parent_region_id": region.parent_region_id,
        "links": _self(ctx, "regions", region.id),
    }


def service(ctx: Context, service: CatalogueService) -> dict[str, Any]:
    """A service. Name and description are told only where there are any."""
    told = {
        **service.extra,
        "id": service.id,
        "type": service.type,
        "enabled": service.enabled,
        "links": _self(ctx, "services", service.id),
    }
    if service.name is not None:
        told["name"] = service.name
    if service.description is not None:
        told["description"] = service.description
    return told


def endpoint(ctx: Context, endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint."""
    return {
        **endpoint.extra,
        "id": endpoint.id,
        "interface": endpoint.interface,
        "url": endpoint.url,
        "service_id": endpoint.service_id,
        "region_id": endpoint.region_id,
        "region": endpoint.region_id,
        "enabled": endpoint.enabled,
        "links": _self(ctx, "endpoints", endpoint.id),
    }


def credential(
    ctx: Context, credential: ApplicationCredential, roles: Iterable[Role], secret: str | None = None
) -> dict[str, Any]:
    """An application credential, with its secret in the answer to its creation alone."""
    told = {
        "id": credential.id,
        "name": credential.name,
        "description": credential.description,
        "project_id": credential.project_id,
        "user_id": credential.user_id,
        "unrestricted": credential.unrestricted,
        # Without a Z, unlike all other times: so does Keystone.
        "expires_at": time(credential.expires_at).removesuffix("Z") if credential.expires_at else None,
        "roles": [{"id": each.id, "name": each.name, "domain_id": each.domain_id or None} for each in roles],
        "links": {"self": ctx.link(f"/v3/users/{credential.user_id}/application_credentials/{credential.id}")},
    }
    return told if secret is None else {**told, "secret": secret}


def kept(ctx: Context, credential: Credential) -> dict[str, Any]:
    """A credential that is kept for a user."""
    return {
        **credential.extra,
        "id": credential.id,
        "user_id": credential.user_id,
        "project_id": credential.project_id,
        "type": credential.type,
        "blob": credential.blob,
        "links": _self(ctx, "credentials", credential.id),
    }


def policy(ctx: Context, policy: PolicyBlob) -> dict[str, Any]:
    """A policy that is kept for a service."""
    return {
        **policy.extra,
        "id": policy.id,
        "type": policy.type,
        "blob": policy.blob,
        "links": _self(ctx, "policies", policy.id),
    }


def token(session: Session, *, catalogue: bool = True) -> dict[str, Any]:
    """What a token means."""
    claims, scope = session.claims, session.claims.scope
    told: dict[str, Any] = {
        "methods": list(claims.methods),
        "user": {
            "domain": _named(session.user_domain),
            "id": session.user.id,
            "name": session.user.name,
            "password_expires_at": None,
        },
        "audit_ids": list(claims.audit_ids),
        "expires_at": time(claims.expires_at),
        "issued_at": time(claims.issued_at),
    }
    if scope.kind == "unscoped":
        return {"token": told}
    if scope.kind == "system":
        told["system"] = {"all": True}
    elif scope.kind == "domain" and session.project:
        told["domain"] = _named(session.project)
    elif session.project and session.project_domain:
        told["project"] = {"domain": _named(session.project_domain), **_named(session.project)}
        told["is_domain"] = session.project.is_domain
    told["roles"] = [_named(each) for each in session.roles]
    if catalogue:
        told["catalog"] = entries(session.catalogue)
    if session.credential is not None:
        told["application_credential"] = {
            **_named(session.credential),
            "restricted": not session.credential.unrestricted,
        }
    return {"token": told}


def entries(catalogue: Iterable[Entry]) -> list[dict[str, Any]]:
    """A catalogue as in a token."""
    return [
        {
            "id": entry.service.id,
            "type": entry.service.type,
            "name": entry.service.name or "",
            "endpoints": [
                {
                    "id": each.id,
                    "interface": each.interface,
                    "region": each.region_id,
                    "region_id": each.region_id,
                    "url": each.url,
                }
                for each in entry.endpoints
            ],
        }
        for entry in catalogue
    ]


def inference(prior: Role, implied: Iterable[Role], ctx: Context) -> dict[str, Any]:
    """That a role implies others."""
    return {"prior_role": _linked(ctx, prior), "implies": [_linked(ctx, each) for each in implied]}


def implication(prior: Role, implied: Role, ctx: Context) -> dict[str, Any]:
    """That a role implies another."""
    return {
        "role_inference": {"prior_role": _linked(ctx, prior), "implies": _linked(ctx, implied)},
        "links": {"self": ctx.link(f"/v3/roles/{prior.id}/implies/{implied.id}")},
    }


def assignment(ctx: Context, given: Assignment, names: Names, *, named: bool) -> dict[str, Any]:
    """Who has which role on what, by ids or with names too; with a link to what it follows from."""
    domains = names.projects if named else {}

    def whole(record: User | Group | Project) -> dict[str, Any]:
        told: dict[str, Any] = {"id": record.id}
        if named:
            told["name"] = record.name
            if record.domain_id != ROOT:
                told["domain"] = _named(domains[record.domain_id])
        return told

    scope: dict[str, Any] = {"system": {"all": True}}
    if given.target.kind != "system":
        scope = {given.target.kind: whole(names.projects[given.target.id])}
    if given.inherited or given.above is not None:
        scope["OS-INHERIT:inherited_to"] = "projects"
    role = names.roles[given.role_id]
    role_told: dict[str, Any] = _named(role) if named else {"id": role.id}
    if named and role.domain_id != ROOT:
        role_told["domain"] = _named(domains[role.domain_id])
    people = names.users if given.actor.kind == "user" else names.groups
    return {
        "scope": scope,
        given.actor.kind: whole(people[given.actor.id]),
        "role": role_told,
        "links": _assignment_links(ctx, given),
    }


def _assignment_links(ctx: Context, given: Assignment) -> dict[str, str]:
    links: dict[str, str] = {}
    target = given.above or given.target
    path = "/system" if target.kind == "system" else f"/{target.kind}s/{target.id}"
    if given.by_group is not None:
        links["membership"] = ctx.link(f"/v3/groups/{given.by_group}/users/{given.actor.id}")
        path += f"/groups/{given.by_group}"
    else:
        path += f"/{given.actor.kind}s/{given.actor.id}"
    path += f"/roles/{given.prior_id or given.role_id}"
    if given.prior_id is not None:
        links["prior_role"] = ctx.link(f"/v3/prior_role/{given.prior_id}/implies/{given.role_id}")
    if given.inherited or given.above is not None:
        path = f"/OS-INHERIT{path}/inherited_to_projects"
    links["assignment"] = ctx.link(f"/v3{path}")
    return links


def _self(ctx: Context, collection: str, identifier: str) -> dict[str, str]:
    return {"self": ctx.link(f"/v3/{collection}/{identifier}")}


def _linked(ctx: Context, role: Role) -> dict[str, Any]:
    return {**_named(role), "links": _self(ctx, "roles", role.id)}


def _named(record: Project | Role | ApplicationCredential) -> dict[str, str]:
    return {"id": record.id, "name": record.name}
