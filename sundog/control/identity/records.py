"""What is in the books, as values. None of them shows a secret, nor holds what one is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final, TypeVar

ROOT: Final = ""
"""What stands in ``domain_id`` for what belongs to no domain: domains themselves, and roles for all domains."""


@dataclass(frozen=True, slots=True)
class User:
    """A user. ``generation`` counts the times that all their tokens were taken back."""

    id: str
    domain_id: str
    name: str
    enabled: bool
    default_project_id: str | None
    description: str | None
    generation: int
    options: Mapping[str, Any]
    extra: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Project:
    """A project, or a domain, which is a project that acts as one: its ``domain_id`` is ROOT."""

    id: str
    domain_id: str
    parent_id: str | None
    name: str
    is_domain: bool
    enabled: bool
    description: str
    options: Mapping[str, Any]
    extra: Mapping[str, Any]
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """A group of users."""

    id: str
    domain_id: str
    name: str
    description: str
    extra: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Role:
    """A role; with a domain it is a name for the roles that it implies, and is never in a token."""

    id: str
    domain_id: str
    name: str
    description: str | None
    options: Mapping[str, Any]
    extra: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Region:
    """A region."""

    id: str
    parent_region_id: str | None
    description: str
    extra: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CatalogueService:
    """A service of the catalogue."""

    id: str
    type: str
    name: str | None
    description: str | None
    enabled: bool
    extra: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service is. ``url`` may hold ``$(project_id)s`` or ``%(project_id)s``."""

    id: str
    service_id: str
    region_id: str | None
    interface: str
    url: str
    enabled: bool
    extra: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ApplicationCredential:
    """What a program uses in place of its user's password, for one project and some of the user's roles there."""

    id: str
    user_id: str
    project_id: str
    name: str
    description: str | None
    role_ids: tuple[str, ...]
    unrestricted: bool
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret that is kept for a user, such as the key to an EC2 API."""

    id: str
    user_id: str
    project_id: str | None
    type: str
    blob: str = field(repr=False)
    extra: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class PolicyBlob:
    """A text that is kept for a service. It says nothing to Sundog."""

    id: str
    type: str
    blob: str
    extra: Mapping[str, Any]


T = TypeVar("T")


def record(kind: type[T], row: Mapping[Any, Any], **more: Any) -> T:
    """The columns of ``row`` that ``kind`` has fields for, and ``more``."""
    names = [each.name for each in fields(kind) if each.name in row]  # type: ignore[arg-type]
    return kind(**{name: row[name] for name in names}, **more)
