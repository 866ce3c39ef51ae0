"""From records to what is told of them, and what policy is asked about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from ipaddress import ip_network
from typing import Any

from sundog.control.network.records import (
    FixedIp,
    FloatingIp,
    NetworkRecord,
    Port,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Standard,
    Subnet,
    SubnetPool,
)
from sundog.control.network.routers import Interface


def network(each: NetworkRecord) -> dict[str, Any]:
    """A network."""
    return _standard(each) | {
        "name": each.name,
        "admin_state_up": each.admin_state_up,
        "status": "ACTIVE",
        "subnets": list(each.subnets),
        "shared": each.shared,
        "mtu": each.mtu,
        "port_security_enabled": each.port_security_enabled,
        "router:external": each.external,
        "provider:network_type": each.network_type,
        "provider:physical_network": each.physical_network,
        "provider:segmentation_id": each.segmentation_id,
    }


def subnet(each: Subnet) -> dict[str, Any]:
    """A subnet."""
    return _standard(each) | {
        "name": each.name,
        "network_id": each.network_id,
        "ip_version": each.ip_version,
        "cidr": each.cidr,
        "gateway_ip": each.gateway_ip,
        "allocation_pools": [dict(pool) for pool in each.allocation_pools],
        "dns_nameservers": list(each.dns_nameservers),
        "host_routes": [dict(route) for route in each.host_routes],
        "enable_dhcp": each.enable_dhcp,
        "ipv6_ra_mode": each.ipv6_ra_mode,
        "ipv6_address_mode": each.ipv6_address_mode,
        "subnetpool_id": each.subnetpool_id,
    }


def subnetpool(each: SubnetPool) -> dict[str, Any]:
    """A subnet pool."""
    return _standard(each) | {
        "name": each.name,
        "prefixes": list(each.prefixes),
        "ip_version": each.ip_version,
        "default_prefixlen": each.default_prefixlen,
        "min_prefixlen": each.min_prefixlen,
        "max_prefixlen": each.max_prefixlen,
        "default_quota": each.default_quota,
        "shared": each.shared,
        "is_default": each.is_default,
    }


def port(each: Port) -> dict[str, Any]:
    """A port."""
    return _standard(each) | {
        "name": each.name,
        "network_id": each.network_id,
        "mac_address": each.mac_address,
        "admin_state_up": each.admin_state_up,
        "status": each.status,
        "device_id": each.device_id,
        "device_owner": each.device_owner,
        "fixed_ips": _fixed_ips(each.fixed_ips),
        "security_groups": list(each.security_groups),
        "port_security_enabled": each.port_security_enabled,
        "allowed_address_pairs": [dict(pair) for pair in each.allowed_address_pairs],
        "extra_dhcp_opts": [dict(option) for option in each.extra_dhcp_opts],
        "binding:vnic_type": each.vnic_type,
        "binding:host_id": each.host_id,
        "binding:profile": dict(each.profile),
        "binding:vif_type": "ovs" if each.host_id else "unbound",
        "binding:vif_details": {"port_filter": True} if each.host_id else {},
    }


def security_group(each: SecurityGroup) -> dict[str, Any]:
    """A security group."""
    return _standard(each) | {
        "name": each.name,
        "stateful": each.stateful,
        "security_group_rules": [security_group_rule(rule) for rule in each.rules],
    }


def security_group_rule(each: SecurityGroupRule) -> dict[str, Any]:
    """A rule of a security group."""
    told = _standard(each) | {
        "security_group_id": each.security_group_id,
        "direction": each.direction,
        "ethertype": each.ethertype,
        "protocol": each.protocol,
        "port_range_min": each.port_range_min,
        "port_range_max": each.port_range_max,
        "remote_ip_prefix": each.remote_ip_prefix,
        "normalized_cidr": _normalized(each.remote_ip_prefix),
        "remote_group_id": each.remote_group_id,
    }
    del told["tags"]
    return told


def router(each: Router) -> dict[str, Any]:
    """A router."""
    gateway = each.gateway
    return _standard(each) | {
        "name": each.name,
        "admin_state_up": each.admin_state_up,
        "status": "ACTIVE",
        "external_gateway_info": None
        if gateway is None
        else {
            "network_id": gateway.network_id,
            "enable_snat": gateway.enable_snat,
            "external_fixed_ips": _fixed_ips(gateway.fixed_ips),
        },
        "routes": [dict(route) for route in each.routes],
    }


def floatingip(each: FloatingIp) -> dict[str, Any]:
    """A floating IP."""
    return _standard(each) | {
        "floating_network_id": each.floating_network_id,
        "floating_ip_address": each.floating_ip_address,
        "fixed_ip_address": each.fixed_ip_address,
        "port_id": each.port_id,
        "router_id": each.router_id,
        "status": each.status,
    }


def interface(each: Interface) -> dict[str, Any]:
    """What a router was connected with, or disconnected from."""
    return {
        "id": each.router.id,
        "project_id": each.router.project_id,
        "tenant_id": each.router.project_id,
        "port_id": each.port.id,
        "network_id": each.port.network_id,
        "subnet_id": each.subnet_ids[0],
        "subnet_ids": list(each.subnet_ids),
        "tags": list(each.router.tags),
    }


def target(record: Any) -> dict[str, Any]:
    """What policy is asked about."""
    told: dict[str, Any] = {"project_id": record.project_id}
    for name in ("shared", "external"):
        told[name] = getattr(record, name, False)
    told["network:project_id"] = getattr(record, "network_project_id", None)
    told["security_group:project_id"] = getattr(record, "group_project_id", None)
    return told


def _standard(each: Standard) -> dict[str, Any]:
    return {
        "id": each.id,
        "project_id": each.project_id,
        "tenant_id": each.project_id,
        "description": each.description,
        "tags": list(each.tags),
        "revision_number": each.revision_number,
        "created_at": _time(each.created_at),
        "updated_at": _time(each.updated_at),
    }


def _fixed_ips(fixed_ips: Sequence[FixedIp]) -> list[Mapping[str, str]]:
    return [{"subnet_id": each.subnet_id, "ip_address": each.ip_address} for each in fixed_ips]


def _time(value: datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def _normalized(prefix: str | None) -> str | None:
    """A prefix without the bits beyond it."""
    return None if prefix is None else str(ip_network(prefix, strict=False))
