"""Network: Neutron's v2.0 API. ``kinds`` has what all things have in common, ``routes`` the operations."""

from sundog.api.network import routes
from sundog.api.network.service import SERVICE

__all__ = ["SERVICE", "routes"]
