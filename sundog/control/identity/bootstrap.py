"""What a cloud cannot begin without: a domain, an administrator, roles, and where its services are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sundog.control.identity.assignments import SYSTEM, Actor, Assignment
from sundog.control.identity.identity import Identity
from sundog.control.identity.payload import Scope
from sundog.control.identity.records import Project, Role, User

ROLES: Final = ("admin", "manager", "member", "reader", "service", "ResellerAdmin")
IMPLICATIONS: Final = (("admin", "manager"), ("manager", "member"), ("member", "reader"))
INTERFACES: Final = ("public", "internal", "admin")


@dataclass(frozen=True, slots=True)
class CatalogueItem:
    """A service to be in the catalogue: its type, its name, and its path on the common address.

    The path may hold ``$(project_id)s``.
    """

    type: str
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """The ids of what there is now. ``admin_is_new`` says that the password given is the administrator's."""

    domain_id: str
    project_id: str
    user_id: str
    role_ids: dict[str, str]
    admin_is_new: bool


def bootstrap(
    identity: Identity,
    password: str,
    *,
    address: str,
    catalogue: Iterable[CatalogueItem] = (),
    region: str = "RegionOne",
    user_name: str = "admin",
    project_name: str = "admin",
) -> Bootstrapped:
    """Make what is missing of it; what is there is left as it is, but for addresses, which follow ``address``.

    ``password`` is for an administrator that has to be made; the password of one who is there does not change.
    ``address`` is the common one of all services, without a slash at its end.
    """
    identity.keys.make()
    domain = _domain(identity)
    roles = _roles(identity)
    project = _project(identity, project_name, domain)
    user, is_new = _user(identity, user_name, domain, password)
    for target in (Scope("project", project.id), Scope("domain", domain.id), SYSTEM):
        identity.assignments.grant(Assignment(Actor("user", user.id), target, roles["admin"].id))
    _catalogue(identity, address.rstrip("/"), region, list(catalogue))
    return Bootstrapped(domain.id, project.id, user.id, {name: role.id for name, role in roles.items()}, is_new)


def _domain(identity: Identity) -> Project:
    wanted = identity.settings.default_domain_id
    known = next((each for each in identity.projects.list_all(is_domain=True) if each.id == wanted), None)
    if known is not None:
        return known
    return identity.projects.create("Default", is_domain=True, description="The default domain", new_id=wanted)


def _roles(identity: Identity) -> dict[str, Role]:
    known = {role.name: role for role in identity.roles.list_all()}
    roles = {name: known.get(name) or identity.roles.create(name, options={"immutable": True}) for name in ROLES}
    for prior, implied in IMPLICATIONS:
        identity.roles.imply(roles[prior].id, roles[implied].id)
    return roles


def _project(identity: Identity, name: str, domain: Project) -> Project:
    for each in identity.projects.list_all():
        if (each.name, each.domain_id) == (name, domain.id):
            return each
    return identity.projects.create(
        name, domain_id=domain.id, description="Bootstrap project for initializing the cloud."
    )


def _user(identity: Identity, name: str, domain: Project, password: str) -> tuple[User, bool]:
    for each in identity.users.list_all():
        if (each.name, each.domain_id) == (name, domain.id):
            return each, False
    return identity.users.create(name, domain.id, password=password), True


def _catalogue(identity: Identity, address: str, region: str, items: Sequence[CatalogueItem]) -> None:
    catalogue = identity.catalogue
    if region not in {each.id for each in catalogue.regions()}:
        catalogue.create_region(region)
    services = {(each.type, each.name): each for each in catalogue.services()}
    endpoints = {(each.service_id, each.interface, each.region_id): each for each in catalogue.endpoints()}
    for item in items:
        service = services.get((item.type, item.name)) or catalogue.create_service(item.type, name=item.name)
        for interface in INTERFACES:
            endpoint, url = endpoints.get((service.id, interface, region)), address + item.path
            if endpoint is None:
                catalogue.create_endpoint(service.id, interface, url, region_id=region)
            elif endpoint.url != url:
                catalogue.update_endpoint(endpoint.id, {"url": url})
