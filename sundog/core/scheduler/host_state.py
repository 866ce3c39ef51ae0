"""A host by the names of the attributes of Nova's ``HostState``, for the filters that let users name them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from sundog.core.scheduler.facts import Described, HostFacts
from sundog.core.scheduler.hosts import Hosts

MOVING: Final = frozenset(
    [
        "free_ram_mb",
        "free_disk_mb",
        "disk_mb_used",
        "vcpus_used",
        "num_instances",
        "num_io_ops",
        "failed_builds",
        "instances",
    ]
)
"""Attributes that change with every server placed."""

KNOWN: Final = MOVING | frozenset(
    [
        "host",
        "nodename",
        "uuid",
        "total_usable_ram_mb",
        "total_usable_disk_gb",
        "vcpus_total",
        "pci_stats",
        "numa_topology",
        "host_ip",
        "hypervisor_type",
        "hypervisor_version",
        "hypervisor_hostname",
        "cpu_info",
        "supported_instances",
        "limits",
        "metrics",
        "aggregates",
        "ram_allocation_ratio",
        "cpu_allocation_ratio",
        "disk_allocation_ratio",
        "cell_uuid",
        "updated",
        "allocation_candidates",
        "stats",
        "service",
    ]
)


def attribute(hosts: Hosts, host: int, name: str) -> Any:
    """The attribute as Nova would have it; None for one that there is not, or that is not known."""
    row = int(hosts.rows[host])
    facts = hosts.facts or HostFacts()
    described = facts.described(row)
    resources = {
        "ram": ("MEMORY_MB", "memory_mb_used"),
        "disk": ("DISK_GB", "disk_gb_used"),
        "cpu": ("VCPU", "vcpus_used"),
    }
    if name in _OF_DESCRIBED:
        return _OF_DESCRIBED[name](described)
    if name in ("num_io_ops", "failed_builds", "hypervisor_version"):
        return facts.value(name, row)
    if name == "num_instances":
        return int(hosts.pool.claims[row]) + facts.value(name, row)
    if name in ("host", "nodename", "hypervisor_hostname"):
        return hosts.name(host)
    if name.endswith("_allocation_ratio"):
        kind = resources.get(name.removesuffix("_allocation_ratio"))
        return None if kind is None else _of_class(hosts, row, kind[0], facts.value(kind[1], row))[2]
    total, used, _ = _of_class(hosts, row, *_class_and_fact(name, facts, row))
    return {
        "free_ram_mb": total - used,
        "free_disk_mb": (total - used) * 1024,
        "disk_mb_used": used * 1024,
        "vcpus_used": used,
        "vcpus_total": total,
        "total_usable_ram_mb": total,
        "total_usable_disk_gb": total,
    }.get(name)


def _class_and_fact(name: str, facts: HostFacts, row: int) -> tuple[str, int]:
    for part, resource_class, fact in (
        ("ram", "MEMORY_MB", "memory_mb_used"),
        ("disk", "DISK_GB", "disk_gb_used"),
        ("vcpus", "VCPU", "vcpus_used"),
    ):
        if part in name:
            return resource_class, facts.value(fact, row)
    return "VCPU", 0


def _of_class(hosts: Hosts, row: int, resource_class: str, extra: int) -> tuple[int, int, float]:
    """Total, what the host counts as used, and the ratio."""
    pool = hosts.pool
    if resource_class not in pool.classes:
        return 0, 0, 1.0
    column, item = pool.classes.column(resource_class), pool.classes[resource_class]
    used = int(item.value(int(pool.used[column, row] + pool.reserved[column, row]))) + extra
    return int(item.value(int(pool.total[column, row]))), used, float(pool.allocation_ratio[column, row])


def _supported(described: Described) -> list[list[str]]:
    return [list(each) for each in described.supported_instances]


_OF_DESCRIBED: Final = {
    "uuid": lambda each: each.uuid,
    "hypervisor_type": lambda each: each.hypervisor_type,
    "host_ip": lambda each: each.host_ip,
    "cell_uuid": lambda each: each.cell,
    "cpu_info": lambda each: json.dumps(each.cpu_info) if each.cpu_info else None,
    "stats": lambda each: dict(each.stats) or None,
    "supported_instances": _supported,
}


def looked_up(hosts: Hosts, host: int, path: tuple[str, ...]) -> Any:
    """What a path of names leads to: an attribute, or else a statistic, and further inside. None if to nothing."""
    first, *rest = path
    found = attribute(hosts, host, first)
    if found is None and hosts.facts is not None:
        found = hosts.facts.described(int(hosts.rows[host])).stats.get(first)
    for name in rest:
        if isinstance(found, str):
            try:
                found = json.loads(found)
            except ValueError:
                return None
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def has(hosts: Hosts, host: int, name: str) -> bool:
    """Whether Nova's host state has an attribute or a statistic of that name."""
    if name in KNOWN:
        return True
    return hosts.facts is not None and name in hosts.facts.described(int(hosts.rows[host])).stats
