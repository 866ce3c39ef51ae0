"""Filters: feasible or not, and why. ``DEFAULT_FILTERS`` is the order in which hosts are counted out.

To add one: a class with ``name``, ``static``, ``passes`` and ``reason`` (see ``base.Filter``), put into the tuple here
or passed to ``Scheduler(filters=...)``.
"""

from sundog.core.scheduler.filters.base import Filter
from sundog.core.scheduler.filters.groups import ServerGroupAffinityFilter, ServerGroupAntiAffinityFilter
from sundog.core.scheduler.filters.hosts import ComputeFilter, ForcedHostsFilter, IgnoredHostsFilter
from sundog.core.scheduler.filters.pipeline import NOVA_FILTERS, changes_filters, nova_filters
from sundog.core.scheduler.filters.placement import (
    AggregatesFilter,
    AvailabilityZoneFilter,
    CapacityFilter,
    ResourcesFilter,
    TraitsFilter,
)
from sundog.core.scheduler.nova_options import NovaOptions

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


def default_filters(options: NovaOptions) -> tuple[Filter, ...]:
    """The filters of a Nova with these options: the default ones, unless the options enable others.

    Requests without ``details`` (those of studies) pass Nova's other default filters anyway.
    Raises: ValueError for a filter that there is not.
    """
    return nova_filters(options) if changes_filters(options) else DEFAULT_FILTERS


__all__ = [
    "DEFAULT_FILTERS",
    "NOVA_FILTERS",
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
    "default_filters",
    "nova_filters",
]
