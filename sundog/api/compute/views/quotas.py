"""Quotas, limits and usage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from sundog.api.compute.views.common import when_to_microsecond
from sundog.api.kit.context import Context
from sundog.control.compute.usages import ServerUsage, by_project

T = TypeVar("T")

_NETWORKS: Final = ("fixed_ips", "floating_ips", "security_groups", "security_group_rules")
_FILES: Final = ("injected_files", "injected_file_content_bytes", "injected_file_path_bytes")
_GROUPS: Final = ("server_groups", "server_group_members")

_LIMITS: Final = {
    "maxTotalInstances": "instances",
    "maxTotalCores": "cores",
    "maxTotalRAMSize": "ram",
    "maxTotalKeypairs": "key_pairs",
    "maxServerGroups": "server_groups",
    "maxServerGroupMembers": "server_group_members",
    "maxServerMeta": "metadata_items",
    "maxImageMeta": "metadata_items",
    "maxPersonality": "injected_files",
    "maxPersonalitySize": "injected_file_content_bytes",
    "maxTotalFloatingIps": "floating_ips",
    "maxSecurityGroups": "security_groups",
    "maxSecurityGroupRules": "security_group_rules",
}
_USED: Final = {
    "totalInstancesUsed": "instances",
    "totalCoresUsed": "cores",
    "totalRAMUsed": "ram",
    "totalServerGroupsUsed": "server_groups",
    "totalFloatingIpsUsed": "floating_ips",
    "totalSecurityGroupsUsed": "security_groups",
}


def told_of(ctx: Context, quotas: Mapping[str, T]) -> dict[str, T]:
    """What the version tells of quotas: no networks since 2.36, no files since 2.57."""
    hidden = (*_NETWORKS, *_FILES) if ctx.at_least("2.57") else _NETWORKS if ctx.at_least("2.36") else ()
    return {name: each for name, each in quotas.items() if name not in hidden}


def details(ctx: Context, usage: Mapping[str, tuple[int, int]]) -> dict[str, dict[str, int]]:
    """Limits with what is used of them."""
    told = {name: {"limit": most, "in_use": used, "reserved": 0} for name, (most, used) in usage.items()}
    return told_of(ctx, told)


def of_class(ctx: Context, quotas: Mapping[str, int]) -> dict[str, int]:
    """The limits of a class: server groups only since 2.50, and no networks since then."""
    hidden = _GROUPS if not ctx.at_least("2.50") else (*_NETWORKS, *(_FILES if ctx.at_least("2.57") else ()))
    return {name: most for name, most in quotas.items() if name not in hidden}


def limits(ctx: Context, usage: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    """The limits of a project and what is used of them, as programs read them."""
    shown = told_of(ctx, usage)
    absolute = {name: shown[resource][0] for name, resource in _LIMITS.items() if resource in shown}
    absolute |= {name: shown[resource][1] for name, resource in _USED.items() if resource in shown}
    if ctx.at_least("2.39"):
        del absolute["maxImageMeta"]
    return {"limits": {"rate": [], "absolute": absolute}}


def usages(every: Sequence[ServerUsage], begin: datetime, end: datetime, *, detailed: bool) -> list[dict[str, Any]]:
    """What projects used in a period, summed up."""
    told = []
    for project_id, servers in by_project(every).items():
        summary: dict[str, Any] = {
            "tenant_id": project_id,
            "start": when_to_microsecond(begin),
            "stop": when_to_microsecond(end),
            "total_hours": sum(each.hours for each in servers),
            "total_vcpus_usage": sum(each.vcpus * each.hours for each in servers),
            "total_memory_mb_usage": sum(each.memory_mb * each.hours for each in servers),
            "total_local_gb_usage": sum(each.local_gb * each.hours for each in servers),
        }
        told.append(summary | ({"server_usages": [_server(each) for each in servers]} if detailed else {}))
    return told


def _server(each: ServerUsage) -> dict[str, Any]:
    return {
        "instance_id": each.id,
        "name": each.name,
        "tenant_id": each.project_id,
        "flavor": each.flavor,
        "vcpus": each.vcpus,
        "memory_mb": each.memory_mb,
        "local_gb": each.local_gb,
        "state": each.state,
        "started_at": when_to_microsecond(each.started_at),
        "ended_at": when_to_microsecond(each.ended_at),
        "hours": each.hours,
        "uptime": each.uptime_s,
    }
