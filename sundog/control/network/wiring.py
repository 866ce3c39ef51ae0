"""The books as wiring: what a network driver is told there is to be. Reads, and decides nothing but what rules mean."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from sundog.backends.networks import (
    Address,
    DhcpOption,
    Floating,
    Pair,
    RouterLeg,
    Rule,
    WiredNetwork,
    WiredPort,
    WiredRouter,
    WiredSubnet,
    Wiring,
)
from sundog.control.network.addresses import ROUTER_GATEWAY, ROUTER_INTERFACE
from sundog.control.network.books import grouped
from sundog.control.network.ports import read_ports
from sundog.control.network.records import Port, SecurityGroupRule, Subnet, record
from sundog.control.network.rules import protocol_number
from sundog.control.store import Reader, Row
from sundog.control.store.tables import network as tables
from sundog.control.viewer import EVERYTHING

_SERVERS: Final = "compute:"
_ANY: Final = 0
"""IPv4's and IPv6's protocol 0: as a rule Neutron means any by it."""


def read_wiring(reader: Reader) -> Wiring:
    """Everything that there is to be, by id; one snapshot if ``reader`` is one."""
    ports = read_ports(reader, EVERYTHING)
    subnets = {row["id"]: record(Subnet, row) for row in reader.find(tables.subnets)}
    rules = _rules(reader, ports)
    networks = reader.find(tables.networks)
    return Wiring(
        tuple(_network(row, list(subnets.values()), ports, rules) for row in networks),
        tuple(_routers(reader, ports, subnets)),
    )


# ---------------------------------------------------------------------------------------------------------- networks


def _network(
    row: Row, subnets: Sequence[Subnet], ports: Sequence[Port], rules: Mapping[str, tuple[Rule, ...]]
) -> WiredNetwork:
    return WiredNetwork(
        row["id"],
        row["network_type"],
        row["physical_network"],
        row["segmentation_id"],
        row["mtu"],
        row["external"],
        tuple(_subnet(each) for each in subnets if each.network_id == row["id"]),
        tuple(
            _port(each, rules, up=row["admin_state_up"])
            for each in ports
            if each.network_id == row["id"] and each.device_owner.startswith(_SERVERS)
        ),
    )


def _subnet(subnet: Subnet) -> WiredSubnet:
    return WiredSubnet(
        subnet.id,
        subnet.cidr,
        subnet.gateway_ip,
        subnet.enable_dhcp,
        tuple(subnet.dns_nameservers),
        tuple((each["destination"], each["nexthop"]) for each in subnet.host_routes),
    )


def _port(port: Port, rules: Mapping[str, tuple[Rule, ...]], *, up: bool) -> WiredPort:
    return WiredPort(
        port.id,
        port.mac_address,
        tuple(Address(each.subnet_id, each.ip_address) for each in port.fixed_ips),
        port.device_id,
        port.project_id,
        enabled=port.admin_state_up and up,
        secured=port.port_security_enabled,
        pairs=tuple(Pair(each["mac_address"].lower(), each["ip_address"]) for each in port.allowed_address_pairs),
        rules=tuple(rule for group in sorted(port.security_groups) for rule in rules.get(group, ())),
        dhcp_options=tuple(
            DhcpOption(each["opt_name"], each["opt_value"], 6 if each["ip_version"] == 6 else 4)
            for each in port.extra_dhcp_opts
        ),
    )


# ------------------------------------------------------------------------------------------------------------- rules


def _rules(reader: Reader, ports: Sequence[Port]) -> dict[str, tuple[Rule, ...]]:
    """The rules of groups by their ids; a group as the other end is the addresses of its members."""
    members: dict[str, list[str]] = {}
    for port in ports:
        for group in port.security_groups:
            members.setdefault(group, []).extend(_speaks_as(port))
    rows = grouped(reader.find(tables.security_group_rules), "security_group_id")
    return {
        group: tuple(_rule(record(SecurityGroupRule, row), members) for row in theirs) for group, theirs in rows.items()
    }


def _speaks_as(port: Port) -> list[str]:
    """The addresses that a port may use, as prefixes."""
    own = [each.ip_address for each in port.fixed_ips]
    return [str(ipaddress.ip_network(each)) for each in own] + [
        str(ipaddress.ip_network(each["ip_address"], strict=False)) for each in port.allowed_address_pairs
    ]


def _rule(rule: SecurityGroupRule, members: Mapping[str, Sequence[str]]) -> Rule:
    version: Literal[4, 6] = 4 if rule.ethertype == "IPv4" else 6
    remotes: tuple[str, ...] | None = None
    if rule.remote_group_id is not None:
        known = set(members.get(rule.remote_group_id, ()))
        remotes = tuple(sorted(each for each in known if ipaddress.ip_network(each).version == version))
    elif rule.remote_ip_prefix is not None:
        remotes = (str(ipaddress.ip_network(rule.remote_ip_prefix, strict=False)),)
    number = protocol_number(rule.protocol, rule.ethertype)
    return Rule(
        "ingress" if rule.direction == "ingress" else "egress",
        version,
        None if number == _ANY else number,
        rule.port_range_min,
        rule.port_range_max,
        remotes,
    )


# ----------------------------------------------------------------------------------------------------------- routers


def _routers(reader: Reader, ports: Sequence[Port], subnets: Mapping[str, Subnet]) -> Iterator[WiredRouter]:
    floating = [row for row in reader.find(tables.floating_ips) if row["router_id"] is not None]
    mine = grouped(floating, "router_id")
    for row in reader.find(tables.routers):
        own = [each for each in ports if each.device_id == row["id"]]
        outside = next((each for each in own if each.device_owner == ROUTER_GATEWAY), None)
        gateways = [] if outside is None else [subnets[each.subnet_id].gateway_ip for each in outside.fixed_ips]
        yield WiredRouter(
            row["id"],
            row["admin_state_up"],
            tuple(_leg(each, subnets) for each in own if each.device_owner == ROUTER_INTERFACE),
            None if outside is None else _leg(outside, subnets),
            next((each for each in gateways if each is not None and ":" not in each), None),
            row["enable_snat"],
            tuple((each["destination"], each["nexthop"]) for each in row["routes"]),
            tuple(Floating(each["floating_ip_address"], each["fixed_ip_address"]) for each in mine.get(row["id"], ())),
        )


def _leg(port: Port, subnets: Mapping[str, Subnet]) -> RouterLeg:
    lengths = {each.subnet_id: subnets[each.subnet_id].cidr.rpartition("/")[2] for each in port.fixed_ips}
    addresses = tuple(f"{each.ip_address}/{lengths[each.subnet_id]}" for each in port.fixed_ips)
    return RouterLeg(port.id, port.network_id, port.mac_address, addresses)
