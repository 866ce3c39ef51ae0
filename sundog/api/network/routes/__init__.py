"""The operations, a module for each kind of thing."""

from sundog.api.network.routes import (
    discovery,
    floatingips,
    networks,
    ports,
    quotas,
    routers,
    security_groups,
    subnetpools,
    subnets,
    tags,
)

__all__ = [
    "discovery",
    "floatingips",
    "networks",
    "ports",
    "quotas",
    "routers",
    "security_groups",
    "subnetpools",
    "subnets",
    "tags",
]
