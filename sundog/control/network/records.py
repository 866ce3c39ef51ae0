"""What is in the books, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """What every resource has."""

    id: str
    project_id: str
    description: str
    tags: Sequence[str]
    revision_number: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRecord(Standard):
    """A network and the ids of its subnets."""

    name: str
    admin_state_up: bool
    shared: bool
    external: bool
    mtu: int
    port_security_enabled: bool
    network_type: str
    physical_network: str | None
    segmentation_id: int | None
    subnets: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet(Standard):
    """A subnet. ``network_project_id``, ``shared`` and ``external`` are its network's."""

    name: str
    network_id: str
    subnetpool_id: str | None
    ip_version: int
    cidr: str
    gateway_ip: str | None
    enable_dhcp: bool
    ipv6_ra_mode: str | None
    ipv6_address_mode: str | None
    dns_nameservers: Sequence[str]
    host_routes: Sequence[Mapping[str, str]]
    allocation_pools: Sequence[Mapping[str, str]]
    network_project_id: str = ""
    shared: bool = False
    external: bool = False

    @property
    def is_automatic(self) -> bool:
        """Whether hosts compute their addresses themselves: SLAAC or stateless DHCPv6."""
        return self.ipv6_address_mode in ("slaac", "dhcpv6-stateless")


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedIp:
    """An address of a port."""

    subnet_id: str
    ip_address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Port(Standard):
    """A port. ``network_project_id`` is its network's."""

    name: str
    network_id: str
    mac_address: str
    admin_state_up: bool
    status: str
    device_id: str
    device_owner: str
    port_security_enabled: bool
    allowed_address_pairs: Sequence[Mapping[str, str]]
    extra_dhcp_opts: Sequence[Mapping[str, Any]]
    host_id: str
    vnic_type: str
    profile: Mapping[str, Any]
    fixed_ips: Sequence[FixedIp] = ()
    security_groups: Sequence[str] = ()
    network_project_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroupRule(Standard):
    """A rule of a security group."""

    security_group_id: str
    direction: str
    ethertype: str
    protocol: str | None
    port_range_min: int | None
    port_range_max: int | None
    remote_ip_prefix: str | None
    remote_group_id: str | None
    group_project_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroup(Standard):
    """A security group and its rules."""

    name: str
    stateful: bool
    rules: Sequence[SecurityGroupRule] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A router's way out."""

    network_id: str
    enable_snat: bool
    fixed_ips: Sequence[FixedIp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Router(Standard):
    """A router."""

    name: str
    admin_state_up: bool
    gateway_port_id: str | None
    enable_snat: bool
    routes: Sequence[Mapping[str, str]]
    gateway: Gateway | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatingIp(Standard):
    """A floating IP."""

    floating_network_id: str
    floating_ip_address: str
    floating_port_id: str
    port_id: str | None
    fixed_ip_address: str | None
    router_id: str | None
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetPool(Standard):
    """A pool of prefixes for subnets."""

    name: str
    ip_version: int
    prefixes: Sequence[str]
    default_prefixlen: int
    min_prefixlen: int
    max_prefixlen: int
    default_quota: int | None
    shared: bool
    is_default: bool


T = TypeVar("T")


def record(kind: type[T], row: Mapping[Any, Any], **more: Any) -> T:
    """The columns of ``row`` that ``kind`` has fields for, and ``more``."""
    return kind(**{name: row[name] for name in kind.__dataclass_fields__ if name in row}, **more)  # type: ignore[attr-defined]
