"""Parts of servers, and what was asked of them and done with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sundog.api.compute.views.common import when_to_microsecond
from sundog.api.compute.views.servers import host_id
from sundog.control.compute.console_tokens import ConsoleGrant
from sundog.control.compute.records import Action, ActionEvent, Host, Migration, Server
from sundog.control.network.records import Port, SecurityGroup, SecurityGroupRule


def interface(port: Port, tags: Mapping[str, str] | None) -> dict[str, Any]:
    """A port of a server; with ``tags``, by port, what its guest knows it by."""
    told: dict[str, Any] = {
        "net_id": port.network_id,
        "port_id": port.id,
        "mac_addr": port.mac_address,
        "port_state": port.status,
        "fixed_ips": [{"subnet_id": each.subnet_id, "ip_address": each.ip_address} for each in port.fixed_ips],
    }
    return told if tags is None else told | {"tag": tags.get(port.id)}


def action(each: Action, *, updated: bool) -> dict[str, Any]:
    """What was asked of a server."""
    told = {
        "action": each.action,
        "instance_uuid": each.server_id,
        "request_id": each.request_id,
        "user_id": each.user_id,
        "project_id": each.project_id,
        "start_time": when_to_microsecond(each.started_at),
        "message": each.message,
    }
    return told | {"updated_at": when_to_microsecond(each.updated_at)} if updated else told


def event(
    each: ActionEvent,
    host: Host | None,
    project_id: str,
    *,
    traceback: bool,
    host_name: bool,
    hashed_host: bool,
    details: bool,
) -> dict[str, Any]:
    """A step of an action. No traceback is ever told: what went wrong is in ``details``."""
    name = None if host is None else host.name
    told: dict[str, Any] = {
        "event": each.name,
        "start_time": when_to_microsecond(each.started_at),
        "finish_time": when_to_microsecond(each.finished_at),
        "result": each.result,
    }
    if traceback:
        told["traceback"] = None
    if host_name:
        told["host"] = name
    if hashed_host:
        told["hostId"] = "" if name is None else host_id(project_id, name)
    if details:
        told["details"] = each.details
    return told


def migration(each: Migration, source: Host | None, target: Host | None, *, hosts: bool) -> dict[str, Any]:
    """A move of a server, in the list of all; without where it went for who may not know."""
    return {
        "id": each.number,
        "instance_uuid": each.server_id,
        "status": each.status,
        "old_instance_type_id": None,
        "new_instance_type_id": None,
        "created_at": when_to_microsecond(each.created_at),
        "updated_at": when_to_microsecond(each.updated_at),
        **_places(source, target, hosts=hosts),
    }


def server_migration(
    each: Migration, progress: Any, source: Host | None, target: Host | None, *, hosts: bool
) -> dict[str, Any]:
    """A live migration under way. ``progress`` is what its host says of the memory; of disks no host says anything."""
    copied: dict[str, int | None] = dict.fromkeys(
        f"{what}_{how}_bytes" for what in ("memory", "disk") for how in ("total", "processed", "remaining")
    )
    if progress is not None:
        copied |= {name: getattr(progress, name) for name in copied if name.startswith("memory")}
    return {
        "id": each.number,
        "server_uuid": each.server_id,
        "status": each.status,
        "created_at": when_to_microsecond(each.created_at),
        "updated_at": when_to_microsecond(each.updated_at),
        **copied,
        **_places(source, target, hosts=hosts),
    }


def _places(source: Host | None, target: Host | None, *, hosts: bool) -> dict[str, str | None]:
    from_name = source.name if source is not None and hosts else None
    to_name = target.name if target is not None and hosts else None
    return {
        "source_compute": from_name,
        "source_node": from_name,
        "dest_compute": to_name,
        "dest_node": to_name,
        "dest_host": target.address or None if target is not None and hosts else None,
    }


def security_group(group: SecurityGroup, names: Mapping[str, SecurityGroup]) -> dict[str, Any]:
    """A security group as Nova told it when it had its own: with rules for what comes in."""
    return {
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "tenant_id": group.project_id,
        "rules": [security_group_rule(each, names) for each in group.rules if each.direction == "ingress"],
    }


def security_group_rule(rule: SecurityGroupRule, names: Mapping[str, SecurityGroup]) -> dict[str, Any]:
    """A rule as Nova told it: whoever is let in is a group by its name, or a range of addresses."""
    other = names.get(rule.remote_group_id or "")
    anywhere = "::/0" if rule.ethertype == "IPv6" else "0.0.0.0/0"
    whole = (-1, -1) if rule.protocol in ("icmp", "ipv6-icmp") else (1, 65535)
    return {
        "id": rule.id,
        "parent_group_id": rule.security_group_id,
        "ip_protocol": rule.protocol,
        "from_port": rule.port_range_min if rule.port_range_min is not None or not rule.protocol else whole[0],
        "to_port": rule.port_range_max if rule.port_range_max is not None or not rule.protocol else whole[1],
        "group": {} if other is None else {"name": other.name, "tenant_id": other.project_id},
        "ip_range": {} if other is not None else {"cidr": rule.remote_ip_prefix or anywhere},
    }


def console(grant: ConsoleGrant, host: Host | None) -> dict[str, Any]:
    """What a token of a console is good for. There is no port to connect to: consoles go through our own address."""
    return {
        "instance_uuid": grant.server_id,
        "host": None if host is None else host.name,
        "port": 0,
        "internal_access_path": None,
    }


_NO_TRAFFIC = tuple(f"{way}_{what}" for way in ("rx", "tx") for what in ("octets", "errors", "drop", "packets", "rate"))


def diagnostics(told: Any, server: Server, host: Host | None) -> dict[str, Any]:
    """What a host says of a server, since 2.48. What no host counts is null.

    ``driver`` is one of Nova's words, of which the nearest is told; the hypervisor tells the rest.
    """
    share = int(told.cpu_time_s * 1e9 / told.vcpus) if told.vcpus else 0
    return {
        "state": "pending" if told.power_state == "nostate" else str(told.power_state),
        "driver": "libvirt",
        "hypervisor": None if host is None else host.hypervisor_type,
        "hypervisor_os": None,
        "uptime": int(told.uptime_s),
        "config_drive": server.config_drive,
        "num_cpus": told.vcpus,
        "num_nics": len(told.mac_addresses),
        "num_disks": 0,
        "memory_details": {"maximum": told.memory_mib, "used": told.memory_used_mib},
        "cpu_details": [{"id": each, "time": share, "utilisation": None} for each in range(told.vcpus)],
        "nic_details": [{"mac_address": each, **dict.fromkeys(_NO_TRAFFIC)} for each in told.mac_addresses],
        "disk_details": [],
    }


def old_diagnostics(told: Any) -> dict[str, Any]:
    """What a host says of a server, as libvirt's driver told it before 2.48."""
    share = int(told.cpu_time_s * 1e9 / told.vcpus) if told.vcpus else 0
    cpus = {f"cpu{each}_time": share for each in range(told.vcpus)}
    return cpus | {"memory": told.memory_mib * 1024, "memory-actual": told.memory_used_mib * 1024}
