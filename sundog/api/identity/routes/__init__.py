"""The operations, a module for each kind of thing."""

from sundog.api.identity.routes import (
    application_credentials,
    blobs,
    catalogue,
    discovery,
    domains,
    grants,
    groups,
    projects,
    roles,
    tokens,
    users,
)

__all__ = [
    "application_credentials",
    "blobs",
    "catalogue",
    "discovery",
    "domains",
    "grants",
    "groups",
    "projects",
    "roles",
    "tokens",
    "users",
]
