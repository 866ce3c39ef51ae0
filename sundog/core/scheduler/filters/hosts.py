"""Filters on the host itself: is it in service, and did the request name it."""

from __future__ import annotations

import numpy as np

from sundog.core.pool.pool import Bools
from sundog.core.scheduler.hosts import Demand, Hosts
from sundog.core.scheduler.request import Request


class ComputeFilter:
    """Hosts that are up and enabled (Nova's filter of this name, and its COMPUTE_STATUS_DISABLED pre-filter)."""

    name = "ComputeFilter"
    static = False  # hosts come and go too often to work everything out anew each time

    def passes(self, request: Request, demand: Demand, hosts: Hosts) -> Bools | None:
        """Up and enabled."""
        return hosts.of(hosts.pool.in_service).astype(bool, copy=False)

    def reason(self, request: Request, demand: Demand, hosts: Hosts, host: int) -> str:
        """Which of the two it is not."""
        return "the host is disabled" if hosts.pool.up[hosts.rows[host]] else "the host is down"


class ForcedHostsFilter:
    """Only the hosts that the request forces, where it forces any."""

    name = "ForcedHostsFilter"
    static = False

    def passes(self, request: Request, demand: Demand, hosts: Hosts) -> Bools | None:
        """Named by ``force_hosts``."""
        return _named(request.force_hosts, hosts) if request.force_hosts else None

    def reason(self, request: Request, demand: Demand, hosts: Hosts, host: int) -> str:
        """What is forced instead."""
        return f"the request forces {', '.join(request.force_hosts)}"


class IgnoredHostsFilter:
    """Not the hosts that the request ignores."""

    name = "IgnoredHostsFilter"
    static = False

    def passes(self, request: Request, demand: Demand, hosts: Hosts) -> Bools | None:
        """Not named by ``ignore_hosts``."""
        return ~_named(request.ignore_hosts, hosts) if request.ignore_hosts else None

    def reason(self, request: Request, demand: Demand, hosts: Hosts, host: int) -> str:
        """That it was ignored."""
        return "the request ignores this host"


def _named(names: tuple[str, ...], hosts: Hosts) -> Bools:
    found: Bools = np.zeros(hosts.n, dtype=bool)
    for name in names:
        host = hosts.index(name)
        if host is not None:
            found[host] = True
    return found
