"""The operations, a module for each kind of thing."""

from sundog.api.identity.routes import (
    catalogue,
    credentials,
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
    "catalogue",
    "credentials",
    "discovery",
    "domains",
    "grants",
    "groups",
    "projects",
    "roles",
    "tokens",
    "users",
]
