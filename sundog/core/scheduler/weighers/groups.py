"""Soft server groups."""

from __future__ import annotations

from sundog.core.scheduler.hosts import Floats, HostView
from sundog.core.scheduler.nova_options import NovaOptions
from sundog.core.scheduler.request import Request


class ServerGroupSoftAffinityWeigher:
    """Members of the request's soft-affinity group on the host."""

    name = "ServerGroupSoftAffinityWeigher"
    option = "soft_affinity_weight_multiplier"
    from_zero = False
    sign = 1.0

    def __init__(self, options: NovaOptions) -> None: ...

    def weigh(self, request: Request, hosts: HostView) -> Floats | None:
        """Members; nothing for a request without such a group."""
        return _members(request, hosts, "soft-affinity")


class ServerGroupSoftAntiAffinityWeigher:
    """Members of the request's soft-anti-affinity group on the host, as a penalty."""

    name = "ServerGroupSoftAntiAffinityWeigher"
    option = "soft_anti_affinity_weight_multiplier"
    from_zero = False
    sign = 1.0

    def __init__(self, options: NovaOptions) -> None: ...

    def weigh(self, request: Request, hosts: HostView) -> Floats | None:
        """Members, negated; nothing for a request without such a group."""
        members = _members(request, hosts, "soft-anti-affinity")
        return None if members is None else -members


def _members(request: Request, hosts: HostView, policy: str) -> Floats | None:
    if request.group is None or request.group.policy != policy:
        return None
    return hosts.members(request.group.id)
