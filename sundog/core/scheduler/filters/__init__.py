"""Filters: feasible or not, and why. ``DEFAULT_FILTERS`` is the order in which hosts are counted out.

To add one: a class with ``name``, ``static``, ``passes`` and ``reason`` (see ``base.Filter``), put into the tuple here
or passed to ``Scheduler(filters=...)``.
"""

from sundog.core.scheduler.filters.base import Filter
from sundog.core.scheduler.filters.groups import ServerGroupAffinityFilter, ServerGroupAntiAffinityFilter
from sundog.core.scheduler.filters.hosts import ComputeFilter, ForcedHostsFilter, IgnoredHostsFilter
from sundog.core.scheduler.filters.placement import (
    AggregatesFilter,
    AvailabilityZoneFilter,
    CapacityFilter,
    ResourcesFilter,
    TraitsFilter,
)

DEFAULT_FILTERS: tuple[Filter, ...] = (
    CapacityFilter(),
    TraitsFilter(),
    AggregatesFilter(),
    AvailabilityZoneFilter(),
    ComputeFilter(),
    ForcedHostsFilter(),
    IgnoredHostsFilter(),
    ServerGroupAffinityFilter(),
    ServerGroupAntiAffinityFilter(),
    ResourcesFilter(),
)

__all__ = [
    "DEFAULT_FILTERS",
    "AggregatesFilter",
    "AvailabilityZoneFilter",
    "CapacityFilter",
    "ComputeFilter",
    "Filter",
    "ForcedHostsFilter",
    "IgnoredHostsFilter",
    "ResourcesFilter",
    "ServerGroupAffinityFilter",
    "ServerGroupAntiAffinityFilter",
    "TraitsFilter",
]
