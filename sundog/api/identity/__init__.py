"""Identity: Keystone's v3 API. ``service`` has what its operations share, ``routes`` the operations."""

from sundog.api.identity import routes
from sundog.api.identity.service import SERVICE

__all__ = ["SERVICE", "routes"]
