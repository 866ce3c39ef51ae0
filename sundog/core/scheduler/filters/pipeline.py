"""The filters of a whole Nova: Placement's, those that Nova applies to every request, and the enabled ones in order."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Final

from sundog.core.pool.pool import Bools
from sundog.core.scheduler.filters.aggregates import (
    AggregateImagePropertiesIsolation,
    AggregateInstanceExtraSpecsFilter,
    AggregateMultiTenancyIsolation,
    AggregateTypeAffinityFilter,
)
from sundog.core.scheduler.filters.base import Filter
from sundog.core.scheduler.filters.capabilities import ComputeCapabilitiesFilter, ImagePropertiesFilter
from sundog.core.scheduler.filters.groups import ServerGroupAffinityFilter, ServerGroupAntiAffinityFilter
from sundog.core.scheduler.filters.hints import (
    DifferentHostFilter,
    JsonFilter,
    SameHostFilter,
    SimpleCIDRAffinityFilter,
)
from sundog.core.scheduler.filters.hosts import ComputeFilter, ForcedHostsFilter, IgnoredHostsFilter
from sundog.core.scheduler.filters.limits import (
    AggregateIoOpsFilter,
    AggregateNumInstancesFilter,
    CellFilter,
    IoOpsFilter,
    IsolatedHostsFilter,
    MetricsFilter,
    NumInstancesFilter,
)
from sundog.core.scheduler.filters.nova_base import NovaFilter, Unforced, details_of
from sundog.core.scheduler.filters.placement import (
    AggregatesFilter,
    AvailabilityZoneFilter,
    CapacityFilter,
    ResourcesFilter,
    TraitsFilter,
)
from sundog.core.scheduler.hosts import Demand, Hosts
from sundog.core.scheduler.nova_options import ALL_FILTERS, DEFAULT_ENABLED, NovaOptions
from sundog.core.scheduler.request import Request


class AllHostsFilter(NovaFilter):
    """Every host."""

    name = "AllHostsFilter"

    def hosts_that_pass(self, request: Request, hosts: Hosts) -> Bools | None:
        """All."""
        return None


class ComputeStatusFilter(ComputeFilter):
    """Hosts that are up and enabled, even for a forced host and where ``ComputeFilter`` is not enabled.

    Nova has Placement leave out those with the trait COMPUTE_STATUS_DISABLED. Last, so that ``ComputeFilter`` counts
    them where it is enabled.
    """

    name = "ComputeStatusFilter"


class GroupAffinity(ServerGroupAffinityFilter):
    """As within, and no host at all where the group's members are on hosts that are not here."""

    def passes(self, request: Request, demand: Demand, hosts: Hosts) -> Bools | None:
        """Where the group is, if it is anywhere."""
        passes = super().passes(request, demand, hosts)
        group = request.group
        if passes is None and group is not None and group.policy == "affinity" and details_of(request).group_elsewhere:
            return hosts.members(group.id) > 0
        return passes

    def reason(self, request: Request, demand: Demand, hosts: Hosts, host: int) -> str:
        """Where the group is."""
        assert request.group is not None
        if not hosts.groups.members(request.group.id):
            return f"server group {request.group.id} (affinity) is on hosts that are not here"
        return super().reason(request, demand, hosts, host)


class GroupAntiAffinity(ServerGroupAntiAffinityFilter):
    """As within; the host that the server is on already passes, as in Nova."""

    def passes(self, request: Request, demand: Demand, hosts: Hosts) -> Bools | None:
        """Below ``max_server_per_host``, or there already."""
        passes = super().passes(request, demand, hosts)
        if passes is None or hosts.facts is None or not request.id:
            return passes
        for host in (~passes).nonzero()[0].tolist():
            if request.id in hosts.facts.instances(int(hosts.rows[host])):
                passes[host] = True
        return passes


_MADE: Final[Mapping[str, Callable[[NovaOptions], Filter]]] = {
    "AggregateImagePropertiesIsolation": AggregateImagePropertiesIsolation,
    "AggregateInstanceExtraSpecsFilter": AggregateInstanceExtraSpecsFilter,
    "AggregateIoOpsFilter": AggregateIoOpsFilter,
    "AggregateMultiTenancyIsolation": AggregateMultiTenancyIsolation,
    "AggregateNumInstancesFilter": AggregateNumInstancesFilter,
    "AggregateTypeAffinityFilter": AggregateTypeAffinityFilter,
    "AllHostsFilter": AllHostsFilter,
    "ComputeCapabilitiesFilter": ComputeCapabilitiesFilter,
    "ComputeFilter": lambda _: Unforced(ComputeFilter(), once=True),
    "DifferentHostFilter": DifferentHostFilter,
    "ImagePropertiesFilter": ImagePropertiesFilter,
    "IoOpsFilter": IoOpsFilter,
    "IsolatedHostsFilter": IsolatedHostsFilter,
    "JsonFilter": JsonFilter,
    "MetricsFilter": MetricsFilter,
    "NumInstancesFilter": NumInstancesFilter,
    "SameHostFilter": SameHostFilter,
    "ServerGroupAffinityFilter": lambda _: Unforced(GroupAffinity(), once=False),
    "ServerGroupAntiAffinityFilter": lambda _: Unforced(GroupAntiAffinity(), once=False),
    "SimpleCIDRAffinityFilter": SimpleCIDRAffinityFilter,
}
NOVA_FILTERS: Final = tuple(_MADE)
"""The filters that ``enabled_filters`` may name."""

NOT_DONE: Final = ("NUMATopologyFilter", "PciPassthroughFilter")
"""Filters of Nova that are not emulated: a host's NUMA cells and PCI devices are not known."""

ALWAYS: Final = ("AvailabilityZoneFilter",)
"""Filters of older Novas that may be named still: they are applied to every request, as Placement does now."""


def nova_filters(options: NovaOptions) -> tuple[Filter, ...]:
    """All filters as Nova and Placement apply them, in order.

    Raises: ValueError for a filter that there is not, that is not available, or that is not emulated.
    """
    return (
        CapacityFilter(),
        TraitsFilter(),
        AggregatesFilter(),
        AvailabilityZoneFilter(),
        ResourcesFilter(),
        CellFilter(options),
        IgnoredHostsFilter(),
        ForcedHostsFilter(),
        *(_MADE[name](options) for name in enabled(options) if name not in ALWAYS),
        ComputeStatusFilter(),
    )


def enabled(options: NovaOptions) -> tuple[str, ...]:
    """The names in ``enabled_filters``, checked.

    Raises: as :func:`nova_filters`.
    """
    available: set[str] = set()
    for path in options.available_filters:
        available.update(NOVA_FILTERS if path == ALL_FILTERS else [path.rpartition(".")[2]])
    for name in options.enabled_filters:
        if name in NOT_DONE:
            raise ValueError(
                f"enabled_filters has {name}, which is not emulated: NUMA cells and PCI devices are unknown"
            )
        if name in ALWAYS:
            continue
        if name not in _MADE:
            near = difflib.get_close_matches(name, NOVA_FILTERS, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ValueError(f"enabled_filters has {name!r}; {hint}there are {', '.join(NOVA_FILTERS)}")
        if name not in available:
            raise ValueError(f"enabled_filters has {name}, which is not among available_filters")
    return options.enabled_filters


def changes_filters(options: NovaOptions) -> bool:
    """Whether the options ask for other filters than Nova's default ones."""
    return enabled(options) != DEFAULT_ENABLED
