"""Services, hypervisors, and hosts by their old name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sundog.api.compute.views.common import when_to_microsecond
from sundog.api.kit.context import Context
from sundog.control.compute.hypervisors import Standing
from sundog.control.compute.records import Host, Server
from sundog.units import Seconds

BINARY: Final = "nova-compute"
"""The binary of all services: that of a host is the only kind there is."""

_STATISTICS: Final = (
    "vcpus", "memory_mb", "local_gb", "vcpus_used", "memory_mb_used", "local_gb_used", "free_ram_mb", "free_disk_gb",
    "current_workload", "running_vms", "disk_available_least",
)  # fmt: skip


def service(ctx: Context, host: Host) -> dict[str, Any]:
    """The service of a host."""
    told = {
        "id": host.service_id if ctx.at_least("2.53") else host.number,
        "binary": BINARY,
        "host": host.name,
        "zone": host.zone,
        "status": _status(host),
        "state": _state(host),
        "updated_at": when_to_microsecond(host.updated_at),
        "disabled_reason": host.disabled_reason,
    }
    return told | ({"forced_down": host.forced_down} if ctx.at_least("2.11") else {})


def hypervisor(ctx: Context, host: Host) -> dict[str, Any]:
    """A hypervisor in a list."""
    return {
        "id": host.uuid if ctx.at_least("2.53") else host.number,
        "hypervisor_hostname": host.name,
        "state": _state(host),
        "status": _status(host),
    }


def detailed(ctx: Context, each: Standing, now: datetime) -> dict[str, Any]:
    """A hypervisor with all that is known of it."""
    host = each.host
    told = hypervisor(ctx, host) | {
        "hypervisor_type": host.hypervisor_type,
        "hypervisor_version": host.hypervisor_version,
        "host_ip": host.address,
        "service": {
            "id": host.service_id if ctx.at_least("2.53") else host.number,
            "host": host.name,
            "disabled_reason": host.disabled_reason,
        },
    }
    if ctx.at_least("2.88"):
        return told | {"uptime": uptime(each.up_for_s, now)}
    return told | _amounts(each) | {"cpu_info": {} if ctx.at_least("2.28") else "{}"}


def with_servers(ctx: Context, told: dict[str, Any], servers: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """A hypervisor with its servers; before 2.75 nothing is said of none."""
    if not servers and not ctx.at_least("2.75"):
        return told
    return told | {"servers": [{"name": name, "uuid": uuid} for name, uuid in servers]}


def statistics(standings: Sequence[Standing]) -> dict[str, int]:
    """All enabled hypervisors together."""
    enabled = [_amounts(each) for each in standings if not each.host.disabled]
    return {"count": len(enabled)} | {name: sum(each[name] for each in enabled) for name in _STATISTICS}


def resources(each: Standing, servers: Sequence[Server]) -> list[dict[str, Any]]:
    """What a host has, what is used of it, the most that its servers may use, and each of their projects."""
    projects: dict[str, list[Server]] = {}
    for server in servers:
        projects.setdefault(server.project_id, []).append(server)
    rows = [
        ("(total)", each.vcpus, each.memory_mb, each.local_gb),
        ("(used_now)", each.vcpus_used, each.memory_mb_used, each.local_gb_used),
        ("(used_max)", *_together(servers)),
        *((project_id, *_together(theirs)) for project_id, theirs in projects.items()),
    ]
    return [
        {"resource": {"host": each.host.name, "project": project, "cpu": cpu, "memory_mb": memory, "disk_gb": disk}}
        for project, cpu, memory, disk in rows
    ]


def _together(servers: Sequence[Server]) -> tuple[int, int, int]:
    """Processors, memory in MiB and disk in GiB of the flavors of servers."""
    flavors = [each.flavor for each in servers]
    disk_gb = sum(each.root_gb + each.ephemeral_gb for each in flavors)
    return sum(each.vcpus for each in flavors), sum(each.memory_mb for each in flavors), disk_gb


def uptime(seconds: Seconds | None, now: datetime) -> str | None:
    """For how long a host has been there, as ``uptime`` tells it without users and load: nobody logs in there."""
    if seconds is None:
        return None
    minutes = int(seconds) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    return f" {now:%H:%M:%S} up {days} days, {hours:2d}:{minutes % 60:02d}"


def _amounts(each: Standing) -> dict[str, int]:
    free_disk_gb = each.local_gb - each.local_gb_used
    return {
        "vcpus": each.vcpus,
        "vcpus_used": each.vcpus_used,
        "memory_mb": each.memory_mb,
        "memory_mb_used": each.memory_mb_used,
        "local_gb": each.local_gb,
        "local_gb_used": each.local_gb_used,
        "free_ram_mb": each.memory_mb - each.memory_mb_used,
        "free_disk_gb": free_disk_gb,
        "disk_available_least": free_disk_gb,
        "running_vms": each.running,
        "current_workload": each.workload,
    }


def _status(host: Host) -> str:
    return "disabled" if host.disabled else "enabled"


def _state(host: Host) -> str:
    return "up" if host.is_up else "down"
