"""Weighers: what makes one feasible host better than another, as Nova's weighers of the same names.

Each gives a raw weight a host; the ``nova`` policy normalises it over the feasible hosts and multiplies. To add one: a
class with ``name``, ``option``, ``default`` and ``weigh`` (see :class:`Weigher`), put into ``NOVA_WEIGHERS``.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from sundog.core.scheduler.hosts import Floats, HostView
from sundog.core.scheduler.request import Request


class Weigher(Protocol):
    """Gives every host a raw weight, more is better; ``option`` names the multiplier as in ``nova.conf``."""

    name: str
    option: str
    default: float

    def weigh(self, request: Request, hosts: HostView) -> Floats:
        """``float64[n]``."""
        ...


def _physical_left(hosts: HostView, resource_class: str) -> Floats:
    """What is left of total less reserved, whatever the allocation ratio: what Nova's hosts report as free."""
    if resource_class not in hosts.classes:
        return np.zeros(hosts.n)
    return hosts.total(resource_class) - hosts.reserved(resource_class) - hosts.used(resource_class)


class RAMWeigher:
    """Free physical memory: what is left of total less reserved, whatever the allocation ratio."""

    name = "RAMWeigher"
    option = "ram_weight_multiplier"
    default = 1.0

    def weigh(self, request: Request, hosts: HostView) -> Floats:
        """MiB; negative where memory is overcommitted."""
        return _physical_left(hosts, "MEMORY_MB")


class CPUWeigher:
    """Free vCPUs, the allocation ratio counted in."""

    name = "CPUWeigher"
    option = "cpu_weight_multiplier"
    default = 1.0

    def weigh(self, request: Request, hosts: HostView) -> Floats:
        """VCPU."""
        return hosts.free("VCPU") if "VCPU" in hosts.classes else np.zeros(hosts.n)


class DiskWeigher:
    """Free physical disk."""

    name = "DiskWeigher"
    option = "disk_weight_multiplier"
    default = 1.0

    def weigh(self, request: Request, hosts: HostView) -> Floats:
        """GiB."""
        return _physical_left(hosts, "DISK_GB")


class NumInstancesWeigher:
    """Servers on the host; a positive multiplier packs, a negative one spreads. Off by default, as in Nova."""

    name = "NumInstancesWeigher"
    option = "num_instances_weight_multiplier"
    default = 0.0

    def weigh(self, request: Request, hosts: HostView) -> Floats:
        """Servers."""
        return hosts.servers()


class ServerGroupSoftAffinityWeigher:
    """Members of the request's soft-affinity group on the host."""

    name = "ServerGroupSoftAffinityWeigher"
    option = "soft_affinity_weight_multiplier"
    default = 1.0

    def weigh(self, request: Request, hosts: HostView) -> Floats:
        """Members; 0 for a request without such a group."""
        return group_weight(request, hosts, "soft-affinity")


class ServerGroupSoftAntiAffinityWeigher:
    """Members of the request's soft-anti-affinity group on the host, as a penalty."""

    name = "ServerGroupSoftAntiAffinityWeigher"
    option = "soft_anti_affinity_weight_multiplier"
    default = 1.0

    def weigh(self, request: Request, hosts: HostView) -> Floats:
        """Members, negated; 0 for a request without such a group."""
        return -group_weight(request, hosts, "soft-anti-affinity")


def group_weight(request: Request, hosts: HostView, policy: str) -> Floats:
    """``float64[n]``: members of the request's group on each host, or zeros if its policy is not ``policy``."""
    if request.group is None or request.group.policy != policy:
        return np.zeros(hosts.n)
    return hosts.members(request.group.id)


NOVA_WEIGHERS: tuple[Weigher, ...] = (
    RAMWeigher(),
    CPUWeigher(),
    DiskWeigher(),
    NumInstancesWeigher(),
    ServerGroupSoftAffinityWeigher(),
    ServerGroupSoftAntiAffinityWeigher(),
)
