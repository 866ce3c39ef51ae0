"""Bodies and query strings, as Keystone takes them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, StrictBool

from sundog.api.kit.bodies import Body, Query

_NOT_BLANK: Final = re.compile(r"\S")
_ID: Final = re.compile(r"[a-zA-Z0-9-]+")


def _named(value: str) -> str:
    if not _NOT_BLANK.search(value):
        raise ValueError("it must not be blank")
    return value


def _identified(value: str) -> str:
    if not _ID.fullmatch(value):
        raise ValueError("an id has letters, digits and hyphens only")
    return value


Name = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_named)]
ShortName = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_named)]
Identifier = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_identified)]
Tag = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^,/]*$")]
Password = Annotated[str, Field(max_length=4096)]


class Open(Body):
    """A part of a body in which other keys may be, which are kept and shown as they are."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class Loose(Body):
    """A part of a body in which other keys mean nothing."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class ResourceOptions(Body):
    """What may be set of projects and roles."""

    immutable: bool | None = None


# ---- tokens


class NamedDomain(Loose):
    """A domain."""

    id: str | None = None
    name: str | None = None


class NamedUser(Loose):
    """A user."""

    id: str | None = None
    name: str | None = None
    domain: NamedDomain | None = None


class PasswordUser(NamedUser):
    """A user and the password."""

    password: str | None = Field(None, repr=False)


class PasswordMethod(Loose):
    """The method password."""

    user: PasswordUser


class TokenMethod(Loose):
    """The method token."""

    id: str = Field(repr=False)


class CredentialMethod(Loose):
    """The method application_credential."""

    id: str | None = None
    name: str | None = None
    secret: str = Field(repr=False)
    user: NamedUser | None = None


class Methods(Loose):
    """What a client shows, by method."""

    methods: list[str]
    password: PasswordMethod | None = None
    token: TokenMethod | None = None
    application_credential: CredentialMethod | None = None


class NamedProject(Loose):
    """A project."""

    id: str | None = None
    name: str | None = None
    domain: NamedDomain | None = None


class SystemScope(Loose):
    """The system, of which there is but the whole."""

    all: bool = False


class ScopePart(Loose):
    """The scope that a client wants."""

    project: NamedProject | None = None
    domain: NamedDomain | None = None
    system: SystemScope | None = None
    unscoped: dict[str, Any] | None = None
    trust: dict[str, Any] | None = Field(None, alias="OS-TRUST:trust")


class Auth(Loose):
    """Who and for what."""

    identity: Methods
    scope: ScopePart | Literal["unscoped"] | None = None


class AuthBody(Loose):
    """The body of POST /auth/tokens."""

    auth: Auth


class TokenQuery(Query):
    """``nocatalog`` counts by being there."""

    nocatalog: str | None = None
    allow_expired: str | None = None


# ---- lists


class Listing(Query):
    """Keys such as ``name__contains`` are taken too, see ``lists``."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    limit: int | None = Field(None, ge=0)
    marker: str | None = None


class UserListing(Listing):
    """Which users."""

    domain_id: str | None = None
    enabled: str | None = None
    name: str | None = None


class ProjectListing(Listing):
    """Which projects. Tags are a list with commas."""

    domain_id: str | None = None
    enabled: str | None = None
    name: str | None = None
    parent_id: str | None = None
    is_domain: str | None = None
    tags: str | None = None
    tags_any: str | None = Field(None, alias="tags-any")
    not_tags: str | None = Field(None, alias="not-tags")
    not_tags_any: str | None = Field(None, alias="not-tags-any")


class ProjectShow(Query):
    """What else is to be shown of a project."""

    parents_as_list: str | None = None
    parents_as_ids: str | None = None
    subtree_as_list: str | None = None
    subtree_as_ids: str | None = None


class DomainListing(Listing):
    """Which domains."""

    enabled: str | None = None
    name: str | None = None


class GroupListing(Listing):
    """Which groups."""

    domain_id: str | None = None
    name: str | None = None


class RoleListing(Listing):
    """Which roles."""

    domain_id: str | None = None
    name: str | None = None


class RegionListing(Listing):
    """Which regions."""

    parent_region_id: str | None = None


class ServiceListing(Listing):
    """Which services."""

    type: str | None = None
    name: str | None = None


class EndpointListing(Listing):
    """Which endpoints."""

    interface: str | None = None
    service_id: str | None = None
    region_id: str | None = None
    region: str | None = None


class CredentialListing(Listing):
    """Which application credentials."""

    name: str | None = None


class AssignmentListing(Query):
    """Which role assignments."""

    group_id: str | None = Field(None, alias="group.id")
    user_id: str | None = Field(None, alias="user.id")
    role_id: str | None = Field(None, alias="role.id")
    domain_id: str | None = Field(None, alias="scope.domain.id")
    project_id: str | None = Field(None, alias="scope.project.id")
    system: str | None = Field(None, alias="scope.system")
    inherited_to: str | None = Field(None, alias="scope.OS-INHERIT:inherited_to")
    effective: str | None = None
    include_names: str | None = None
    include_subtree: str | None = None


# ---- users


class UserOptions(Body):
    """Kept and shown. Sundog has no lockout and no second factor yet, so none of them does anything."""

    ignore_change_password_upon_first_use: bool | None = None
    ignore_password_expiry: bool | None = None
    ignore_lockout_failure_attempts: bool | None = None
    ignore_user_inactivity: bool | None = None
    lock_password: bool | None = None
    multi_factor_auth_enabled: bool | None = None
    multi_factor_auth_rules: list[list[str]] | None = None


class NewUser(Open):
    """A new user."""

    name: Name
    domain_id: Identifier | None = None
    password: Password | None = Field(None, repr=False)
    enabled: StrictBool = True
    default_project_id: str | None = None
    description: str | None = None
    options: UserOptions | None = None


class CreateUser(Body):
    """The body of POST /users."""

    user: NewUser


class ChangedUser(Open):
    """What changes of a user."""

    name: Name = ""
    domain_id: Identifier | None = None
    password: Password | None = Field(None, repr=False)
    enabled: StrictBool = True
    default_project_id: str | None = None
    description: str | None = None
    options: UserOptions = UserOptions()


class UpdateUser(Body):
    """The body of PATCH /users/{id}."""

    user: ChangedUser


class OwnPassword(Body):
    """The old and the new password."""

    original_password: str = Field(repr=False)
    password: Annotated[str, Field(min_length=1, max_length=4096, repr=False)]


class ChangePassword(Body):
    """The body of POST /users/{id}/password."""

    user: OwnPassword


# ---- groups


class NewGroup(Open):
    """A new group."""

    name: ShortName
    domain_id: Identifier | None = None
    description: str | None = None


class CreateGroup(Body):
    """The body of POST /groups."""

    group: NewGroup


class ChangedGroup(Open):
    """What changes of a group."""

    name: ShortName = ""
    domain_id: Identifier | None = None
    description: str | None = None


class UpdateGroup(Body):
    """The body of PATCH /groups/{id}."""

    group: ChangedGroup


# ---- projects and domains


class NewProject(Open):
    """A new project."""

    name: ShortName
    domain_id: Identifier | None = None
    parent_id: Identifier | None = None
    is_domain: bool = False
    enabled: StrictBool = True
    description: str | None = None
    tags: list[Tag] = []
    options: ResourceOptions | None = None


class CreateProject(Body):
    """The body of POST /projects."""

    project: NewProject


class ChangedProject(Open):
    """What changes of a project."""

    name: ShortName = ""
    domain_id: str | None = None
    parent_id: str | None = None
    is_domain: bool = False
    enabled: StrictBool = True
    description: str | None = None
    tags: list[Tag] = []
    options: ResourceOptions = ResourceOptions()


class UpdateProject(Body):
    """The body of PATCH /projects/{id}."""

    project: ChangedProject


class Tags(Body):
    """The body of PUT /projects/{id}/tags."""

    tags: list[Tag] = Field(max_length=80)


class NewDomain(Open):
    """A new domain. An ``explicit_domain_id`` becomes its id."""

    name: ShortName
    enabled: StrictBool = True
    description: str | None = None
    explicit_domain_id: Annotated[str, Field(pattern=r"^[a-f0-9]{32}$")] | None = None
    tags: list[Tag] = []
    options: ResourceOptions | None = None


class CreateDomain(Body):
    """The body of POST /domains."""

    domain: NewDomain


class ChangedDomain(Open):
    """What changes of a domain."""

    name: ShortName = ""
    enabled: StrictBool = True
    description: str | None = None
    tags: list[Tag] = []
    options: ResourceOptions = ResourceOptions()


class UpdateDomain(Body):
    """The body of PATCH /domains/{id}."""

    domain: ChangedDomain


# ---- roles


class NewRole(Open):
    """A new role."""

    name: Name
    domain_id: Identifier | None = None
    description: str | None = None
    options: ResourceOptions | None = None


class CreateRole(Body):
    """The body of POST /roles."""

    role: NewRole


class ChangedRole(Open):
    """What changes of a role."""

    name: Name = ""
    domain_id: str | None = None
    description: str | None = None
    options: ResourceOptions = ResourceOptions()


class UpdateRole(Body):
    """The body of PATCH /roles/{id}."""

    role: ChangedRole


# ---- catalogue


class NewRegion(Open):
    """A new region."""

    id: Annotated[str, Field(max_length=255)] | None = None
    description: str | None = None
    parent_region_id: str | None = None


class CreateRegion(Body):
    """The body of POST /regions and PUT /regions/{id}."""

    region: NewRegion


class UpdateRegion(Body):
    """The body of PATCH /regions/{id}."""

    region: NewRegion


class NewService(Open):
    """A new service."""

    type: Annotated[str, Field(min_length=1, max_length=255)]
    name: Annotated[str, Field(max_length=255)] | None = None
    description: str | None = None
    enabled: StrictBool = True


class CreateService(Body):
    """The body of POST /services."""

    service: NewService


class ChangedService(Open):
    """What changes of a service."""

    type: Annotated[str, Field(min_length=1, max_length=255)] = "?"
    name: Annotated[str, Field(max_length=255)] | None = None
    description: str | None = None
    enabled: StrictBool = True


class UpdateService(Body):
    """The body of PATCH /services/{id}."""

    service: ChangedService


Interface = Literal["public", "internal", "admin"]
Address = Annotated[str, Field(min_length=1, max_length=225, pattern=r"^[a-zA-Z0-9+.-]+:.+")]


class NewEndpoint(Open):
    """A new endpoint. ``region`` is an older word for ``region_id``."""

    interface: Interface
    service_id: str
    url: Address
    region_id: str | None = None
    region: str | None = None
    enabled: StrictBool = True


class CreateEndpoint(Body):
    """The body of POST /endpoints."""

    endpoint: NewEndpoint


class ChangedEndpoint(Open):
    """What changes of an endpoint."""

    interface: Interface = "public"
    service_id: str = ""
    url: Address = "x:x"
    region_id: str | None = None
    region: str | None = None
    enabled: StrictBool = True


class UpdateEndpoint(Body):
    """The body of PATCH /endpoints/{id}."""

    endpoint: ChangedEndpoint


# ---- application credentials


class NamedRole(Loose):
    """A role."""

    id: str | None = None
    name: str | None = None


class NewCredential(Body):
    """A new application credential. ``project_id`` may be said, and must be that of the token.

    Clients say that there are no access rules; that there are some is refused, as nothing would keep to them.
    """

    name: Name
    description: str | None = None
    secret: Annotated[str, Field(min_length=1, max_length=4096)] | None = Field(None, repr=False)
    project_id: str | None = None
    roles: list[NamedRole] | None = None
    unrestricted: bool | None = None
    expires_at: str | None = None
    access_rules: Annotated[list[dict[str, Any]], Field(max_length=0)] | None = None


class CreateCredential(Body):
    """The body of POST /users/{id}/application_credentials."""

    application_credential: NewCredential


# ---- what is kept for others

Blob = str | dict[str, Any]


class NewBlob(Open):
    """A new credential. Its ``user_id`` is the caller's unless told otherwise."""

    type: Name
    blob: Blob = Field(repr=False)
    user_id: str | None = None
    project_id: str | None = None


class CreateBlob(Body):
    """The body of POST /credentials."""

    credential: NewBlob


class ChangedBlob(Open):
    """What changes of a credential."""

    type: Name = "?"
    blob: Blob = Field("", repr=False)
    user_id: str | None = None
    project_id: str | None = None


class UpdateBlob(Body):
    """The body of PATCH /credentials/{id}."""

    credential: ChangedBlob


class BlobListing(Listing):
    """Which credentials."""

    user_id: str | None = None
    type: str | None = None


class NewPolicy(Open):
    """A new policy."""

    type: Name
    blob: Blob


class CreatePolicy(Body):
    """The body of POST /policies."""

    policy: NewPolicy


class ChangedPolicy(Open):
    """What changes of a policy."""

    type: Name = "?"
    blob: Blob = ""


class UpdatePolicy(Body):
    """The body of PATCH /policies/{id}."""

    policy: ChangedPolicy


class PolicyListing(Listing):
    """Which policies."""

    type: str | None = None
