"""Filters by a number: servers and I/O operations a host, metrics that there must be, and the cell."""

from __future__ import annotations

import numpy as np

from sundog.core.pool.pool import Bools
from sundog.core.scheduler.facts import HostFacts
from sundog.core.scheduler.filters.nova_base import NovaFilter, details_of
from sundog.core.scheduler.hosts import Demand, Hosts
from sundog.core.scheduler.nova_options import NovaOptions, settings
from sundog.core.scheduler.request import Request


class LimitFilter(NovaFilter):
    """Hosts with fewer of something than the option allows, or than the least of their aggregates does."""

    static = False
    once = False
    option = ""
    what = ""
    by_aggregate = False

    def hosts_that_pass(self, request: Request, hosts: Hosts) -> Bools | None:
        """Below the limit."""
        passes: Bools = np.less(self.counts(hosts), self._limits(hosts))
        return passes

    def counts(self, hosts: Hosts) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """``int64[n]``: how many there are."""
        raise NotImplementedError

    def _limits(self, hosts: Hosts) -> float | np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        default = int(getattr(self.options, self.option))
        facts = hosts.facts
        if facts is None or not self.by_aggregate:
            return default

        def of(aggregates: tuple[str, ...]) -> float:
            try:
                return min((int(text) for text in facts.values(aggregates, self.option)), default=default)
            except ValueError:
                return default

        return facts.by_aggregates(hosts, of)

    def reason(self, request: Request, demand: Demand, hosts: Hosts, host: int) -> str:
        """How many there are and may be."""
        limit = np.broadcast_to(self._limits(hosts), (hosts.n,))[host]
        return f"the host has {int(self.counts(hosts)[host])} {self.what}; {self.option} is {limit:g}"


class IoOpsFilter(LimitFilter):
    """Hosts with fewer I/O operations under way than ``max_io_ops_per_host``."""

    name = "IoOpsFilter"
    option = "max_io_ops_per_host"
    what = "I/O operations under way"

    def counts(self, hosts: Hosts) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The fact ``num_io_ops``."""
        column = None if hosts.facts is None else hosts.facts.column("num_io_ops")
        return np.zeros(hosts.n, dtype=np.int64) if column is None else column[hosts.rows]


class AggregateIoOpsFilter(IoOpsFilter):
    """As ``IoOpsFilter``, with the least ``max_io_ops_per_host`` of the host's aggregates where they have one."""

    name = "AggregateIoOpsFilter"
    by_aggregate = True


class NumInstancesFilter(LimitFilter):
    """Hosts with fewer servers than ``max_instances_per_host``."""

    name = "NumInstancesFilter"
    option = "max_instances_per_host"
    what = "servers"

    def counts(self, hosts: Hosts) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Consumers in the pool, and the fact ``num_instances``."""
        servers: np.ndarray[tuple[int], np.dtype[np.int64]] = hosts.pool.claims[hosts.rows].astype(np.int64)
        column = None if hosts.facts is None else hosts.facts.column("num_instances")
        return servers if column is None else servers + column[hosts.rows]


class AggregateNumInstancesFilter(NumInstancesFilter):
    """As ``NumInstancesFilter``, with the least ``max_instances_per_host`` of the host's aggregates."""

    name = "AggregateNumInstancesFilter"
    by_aggregate = True


class MetricsFilter(NovaFilter):
    """Hosts that report every metric of ``metrics_weight_setting``."""

    name = "MetricsFilter"
    once = False

    def __init__(self, options: NovaOptions) -> None:
        super().__init__(options)
        self.wanted = [name for name, _ in settings(options.metrics_weight_setting, "metrics_weight_setting")]

    def hosts_that_pass(self, request: Request, hosts: Hosts) -> Bools | None:
        """All are there."""
        if not self.wanted:
            return None
        return np.fromiter((not self._missing(hosts, host) for host in range(hosts.n)), bool, hosts.n)

    def _missing(self, hosts: Hosts, host: int) -> list[str]:
        metrics = (hosts.facts or HostFacts()).described(int(hosts.rows[host])).metrics
        return [name for name in self.wanted if name not in metrics]

    def reason(self, request: Request, demand: Demand, hosts: Hosts, host: int) -> str:
        """What is missing."""
        return f"the host does not report {', '.join(self._missing(hosts, host))}"


class IsolatedHostsFilter(NovaFilter):
    """Isolated images on isolated hosts only, and, if so restricted, no other image there."""

    name = "IsolatedHostsFilter"

    def hosts_that_pass(self, request: Request, hosts: Hosts) -> Bools | None:
        """By ``isolated_hosts``, ``isolated_images`` and ``restrict_isolated_hosts_to_isolated_images``."""
        options = self.options
        isolated: Bools = np.zeros(hosts.n, dtype=bool)
        for name in options.isolated_hosts:
            host = hosts.index(name)
            if host is not None:
                isolated[host] = True
        restricted = options.restrict_isolated_hosts_to_isolated_images
        if not options.isolated_images:
            return ~isolated if restricted else None
        image = details_of(request).image_id in options.isolated_images
        if restricted:
            return isolated if image else ~isolated
        return isolated if image else None

    def reason(self, request: Request, demand: Demand, hosts: Hosts, host: int) -> str:
        """Which of the two is isolated."""
        if hosts.name(host) in self.options.isolated_hosts:
            return "the host is isolated, the image is not"
        return "the image is isolated, the host is not"


class CellFilter(NovaFilter):
    """Hosts in the cell that the request names, unless it may cross cells. Nova asks no other cell for its hosts."""

    name = "CellFilter"

    def passes(self, request: Request, demand: Demand, hosts: Hosts) -> Bools | None:
        """In the cell; forced or not."""
        details = details_of(request)
        if details.cell is None or details.cross_cell:
            return None
        facts = hosts.facts or HostFacts()
        return np.fromiter((facts.described(row).cell == details.cell for row in hosts.rows.tolist()), bool, hosts.n)

    def reason(self, request: Request, demand: Demand, hosts: Hosts, host: int) -> str:
        """The host's cell."""
        cell = (hosts.facts or HostFacts()).described(int(hosts.rows[host])).cell
        return f"the host is in cell {cell or 'none'}; asked {details_of(request).cell}"
