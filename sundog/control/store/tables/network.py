"""Networks, subnets, ports with their addresses, security groups, routers, floating IPs, subnet pools, quotas."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Column, ForeignKey, Table, UniqueConstraint

from sundog.control.store.tables import Id, Int, Json, Text, UtcDateTime, metadata


def _standard() -> list[Column[Any]]:
    """What every resource of the API has."""
    return [
        Column("id", Id, primary_key=True),
        Column("project_id", Id, nullable=False, index=True),
        Column("description", Text, nullable=False),
        Column("tags", Json, nullable=False),
        Column("revision_number", Int, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("updated_at", UtcDateTime, nullable=False),
    ]


networks = Table(
    "network_networks",
    metadata,
    *_standard(),
    Column("name", Text, nullable=False),
    Column("admin_state_up", Boolean, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("external", Boolean, nullable=False),
    Column("mtu", Int, nullable=False),
    Column("port_security_enabled", Boolean, nullable=False),
    Column("network_type", Text, nullable=False),  # flat, vlan, vxlan, geneve, gre, local
    Column("physical_network", Text),
    Column("segmentation_id", Int),
)

subnet_pools = Table(
    "network_subnet_pools",
    metadata,
    *_standard(),
    Column("name", Text, nullable=False),
    Column("ip_version", Int, nullable=False),
    Column("prefixes", Json, nullable=False),
    Column("default_prefixlen", Int, nullable=False),
    Column("min_prefixlen", Int, nullable=False),
    Column("max_prefixlen", Int, nullable=False),
    Column("default_quota", Int),
    Column("shared", Boolean, nullable=False),
    Column("is_default", Boolean, nullable=False),
)

subnets = Table(
    "network_subnets",
    metadata,
    *_standard(),
    Column("name", Text, nullable=False),
    Column("network_id", Id, ForeignKey("network_networks.id"), nullable=False, index=True),
    Column("subnetpool_id", Id, ForeignKey("network_subnet_pools.id"), index=True),
    Column("ip_version", Int, nullable=False),
    Column("cidr", Text, nullable=False),
    Column("gateway_ip", Text),
    Column("enable_dhcp", Boolean, nullable=False),
    Column("ipv6_ra_mode", Text),
    Column("ipv6_address_mode", Text),
    Column("dns_nameservers", Json, nullable=False),
    Column("host_routes", Json, nullable=False),
    Column("allocation_pools", Json, nullable=False),
)

# What a subnet gives out of its own accord and has not given yet, as intervals of numbers.
free_addresses = Table(
    "network_free_addresses",
    metadata,
    Column("subnet_id", Id, ForeignKey("network_subnets.id", ondelete="CASCADE"), primary_key=True),
    Column("spans", Json, nullable=False),
)

ports = Table(
    "network_ports",
    metadata,
    *_standard(),
    Column("name", Text, nullable=False),
    Column("network_id", Id, ForeignKey("network_networks.id"), nullable=False),
    Column("mac_address", Text, nullable=False),
    Column("admin_state_up", Boolean, nullable=False),
    Column("status", Text, nullable=False),
    Column("device_id", Text, nullable=False, index=True),
    Column("device_owner", Text, nullable=False),
    Column("port_security_enabled", Boolean, nullable=False),
    Column("allowed_address_pairs", Json, nullable=False),
    Column("extra_dhcp_opts", Json, nullable=False),
    Column("host_id", Text, nullable=False),
    Column("vnic_type", Text, nullable=False),
    Column("profile", Json, nullable=False),
    UniqueConstraint("network_id", "mac_address"),
)

addresses = Table(
    "network_addresses",
    metadata,
    Column("subnet_id", Id, ForeignKey("network_subnets.id"), primary_key=True),
    Column("ip_address", Text, primary_key=True),
    Column("port_id", Id, ForeignKey("network_ports.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("position", Int, nullable=False),  # in the port's own order
)

security_groups = Table(
    "network_security_groups",
    metadata,
    *_standard(),
    Column("name", Text, nullable=False),
    Column("stateful", Boolean, nullable=False),
)

# The one group of a project that its ports are in unless it is said.
default_groups = Table(
    "network_default_groups",
    metadata,
    Column("project_id", Id, primary_key=True),
    Column(
        "security_group_id",
        Id,
        ForeignKey("network_security_groups.id", ondelete="CASCADE"),
        nullable=False,
        unique=True,
    ),
)

security_group_rules = Table(
    "network_security_group_rules",
    metadata,
    *_standard(),
    Column(
        "security_group_id",
        Id,
        ForeignKey("network_security_groups.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("direction", Text, nullable=False),
    Column("ethertype", Text, nullable=False),
    Column("protocol", Text),
    Column("port_range_min", Int),
    Column("port_range_max", Int),
    Column("remote_ip_prefix", Text),
    Column("remote_group_id", Id, ForeignKey("network_security_groups.id", ondelete="CASCADE"), index=True),
)

port_groups = Table(
    "network_port_groups",
    metadata,
    Column("port_id", Id, ForeignKey("network_ports.id", ondelete="CASCADE"), primary_key=True),
    Column("security_group_id", Id, ForeignKey("network_security_groups.id"), primary_key=True, index=True),
)

routers = Table(
    "network_routers",
    metadata,
    *_standard(),
    Column("name", Text, nullable=False),
    Column("admin_state_up", Boolean, nullable=False),
    Column("gateway_port_id", Id, ForeignKey("network_ports.id"), unique=True),
    Column("enable_snat", Boolean, nullable=False),
    Column("routes", Json, nullable=False),
)

floating_ips = Table(
    "network_floating_ips",
    metadata,
    *_standard(),
    Column("floating_network_id", Id, ForeignKey("network_networks.id"), nullable=False, index=True),
    Column("floating_ip_address", Text, nullable=False),
    Column("floating_port_id", Id, ForeignKey("network_ports.id"), nullable=False, unique=True),
    Column("port_id", Id, ForeignKey("network_ports.id"), index=True),
    Column("fixed_ip_address", Text),
    Column("router_id", Id, ForeignKey("network_routers.id"), index=True),
    Column("status", Text, nullable=False),
    # A fixed address has one floating IP of a network at most; NULLs do not meet.
    UniqueConstraint("floating_network_id", "port_id", "fixed_ip_address"),
)

quotas = Table(
    "network_quotas",
    metadata,
    Column("project_id", Id, primary_key=True),
    Column("resource", Text, primary_key=True),
    Column("most", Int, nullable=False),
)
