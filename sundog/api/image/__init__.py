"""Images: Glance's v2 API. ``service`` has what its operations share, ``routes`` the operations."""

from sundog.api.image import routes
from sundog.api.image.service import SERVICE

__all__ = ["SERVICE", "routes"]
