"""Server group filters. The soft policies are weighers; see ``weighers``."""

from __future__ import annotations

import numpy as np

from sundog.core.pool.pool import Bools
from sundog.core.scheduler.hosts import Demand, Hosts
from sundog.core.scheduler.request import Request


class ServerGroupAffinityFilter:
    """Hosts that have a member of the request's affinity group; any host for the group's first member."""

    name = "ServerGroupAffinityFilter"
    static = False

    def passes(self, request: Request, demand: Demand, hosts: Hosts) -> Bools | None:
        """Where the group is, if it is anywhere."""
        if request.group is None or request.group.policy != "affinity" or not hosts.groups.members(request.group.id):
            return None
        return hosts.members(request.group.id) > 0

    def reason(self, request: Request, demand: Demand, hosts: Hosts, host: int) -> str:
        """Where the group is."""
        assert request.group is not None
        where = [hosts.pool.name(row) for row in hosts.groups.members(request.group.id)]
        return f"server group {request.group.id} (affinity) is on {', '.join(where)}"


class ServerGroupAntiAffinityFilter:
    """Hosts with fewer members of the request's anti-affinity group than it allows on one host."""

    name = "ServerGroupAntiAffinityFilter"
    static = False

    def passes(self, request: Request, demand: Demand, hosts: Hosts) -> Bools | None:
        """Below ``max_server_per_host``."""
        if request.group is None or request.group.policy != "anti-affinity":
            return None
        if not hosts.groups.members(request.group.id):
            return None
        below: Bools = np.less(hosts.members(request.group.id), request.group.max_server_per_host)
        return below

    def reason(self, request: Request, demand: Demand, hosts: Hosts, host: int) -> str:
        """How many are here and how many may be."""
        assert request.group is not None
        count = int(hosts.members(request.group.id)[host])
        limit = request.group.max_server_per_host
        return f"server group {request.group.id} (anti-affinity) has {count} here; {limit} may share a host"
