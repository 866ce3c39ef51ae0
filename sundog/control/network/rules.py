"""What a rule of a security group may say. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import asdict, dataclass
from typing import Any, Final

from sundog.control.network.refusals import invalid_input
from sundog.errors import Invalid

PROTOCOLS: Final = {
    "ah": 51,
    "dccp": 33,
    "egp": 8,
    "esp": 50,
    "gre": 47,
    "hopopt": 0,
    "icmp": 1,
    "icmpv6": 58,
    "igmp": 2,
    "ip": 0,
    "ipip": 4,
    "ipv6-encap": 41,
    "ipv6-frag": 44,
    "ipv6-icmp": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ipv6-route": 43,
    "ospf": 89,
    "pgm": 113,
    "rsvp": 46,
    "sctp": 132,
    "tcp": 6,
    "udp": 17,
    "udplite": 136,
    "vrrp": 112,
}
"""The protocols that have names, and their numbers (IANA)."""

_WITH_PORTS: Final = (33, 132, 6, 17, 136)
_ICMP: Final = (1, 58)
_ONLY_IPV6: Final = (41, 43, 44, 58, 59, 60)
_EVERYWHERE: Final = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSpec:
    """What a rule lets through: None is anything."""

    direction: str
    ethertype: str
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None

    def columns(self) -> dict[str, Any]:
        """By the names of the columns."""
        return asdict(self)

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for rules that let through the same."""
        prefix = None if self.remote_ip_prefix in _EVERYWHERE else self.remote_ip_prefix
        number = protocol_number(self.protocol, self.ethertype)
        return (
            self.direction,
            self.ethertype,
            number,
            self.port_range_min,
            self.port_range_max,
            prefix,
            self.remote_group_id,
        )


def checked_rule(
    *,
    direction: str,
    ethertype: str = "IPv4",
    protocol: str | int | None = None,
    port_range_min: int | None = None,
    port_range_max: int | None = None,
    remote_ip_prefix: str | None = None,
    remote_group_id: str | None = None,
) -> RuleSpec:
    """A rule as it is kept.

    Raises: Invalid for one that makes no sense.
    """
    name = None if protocol is None else str(protocol).lower()
    name = None if name in ("any", "") else name
    spec = RuleSpec(
        direction=direction,
        ethertype=_ethertype(ethertype),
        protocol=name,
        port_range_min=port_range_min,
        port_range_max=port_range_max,
        remote_ip_prefix=_prefix(remote_ip_prefix, _ethertype(ethertype)),
        remote_group_id=remote_group_id,
    )
    if remote_ip_prefix is not None and remote_group_id is not None:
        raise invalid_input(
            "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided",
            kind="SecurityGroupMultipleRemoteEntites",
        )
    _check_protocol(spec)
    _check_ports(spec)
    return spec


def _ethertype(told: str) -> str:
    for known in ("IPv4", "IPv6"):
        if told.lower() == known.lower():
            return known
    raise Invalid(
        f"Security group rule for ethertype '{told}' not supported. Allowed values are ['IPv4', 'IPv6'].",
        type="SecurityGroupRuleInvalidEtherType",
    )


def _prefix(told: str | None, ethertype: str) -> str | None:
    """A prefix in CIDR notation; bits beyond it are kept as they were told, as Neutron keeps them."""
    if told is None or told == "":
        return None
    try:
        network = ipaddress.ip_interface(told.replace("%", " "))
    except ValueError:
        raise Invalid(f"Invalid CIDR {told} given as IP prefix.", type="InvalidCIDR") from None
    if ethertype != f"IPv{network.version}":
        raise Invalid(
            f"Conflicting value ethertype {ethertype} for CIDR {told}", type="SecurityGroupRuleParameterConflict"
        )
    return str(network)


def protocol_number(protocol: str | None, ethertype: str) -> int | None:
    """The number of a protocol; ICMP is another one in IPv6."""
    if protocol is None:
        return None
    number = int(protocol) if protocol.isdecimal() else PROTOCOLS[protocol]
    return 58 if (number, ethertype) == (1, "IPv6") else number


def _check_protocol(spec: RuleSpec) -> None:
    name = spec.protocol
    if name is None:
        return
    known = name in PROTOCOLS or (name.isascii() and name.isdecimal() and int(name) <= 255)
    if not known:
        raise Invalid(
            f"Security group rule protocol {name} not supported. Only protocol values {sorted(PROTOCOLS)} and integer "
            "representations [0 to 255] are supported.",
            type="SecurityGroupRuleInvalidProtocol",
        )
    if spec.ethertype == "IPv4" and protocol_number(name, "IPv4") in _ONLY_IPV6:
        raise Invalid(
            f"Invalid ethertype {spec.ethertype} for protocol {name}.",
            type="SecurityGroupEthertypeConflictWithProtocol",
        )


def _check_ports(spec: RuleSpec) -> None:
    low, high, name = spec.port_range_min, spec.port_range_max, spec.protocol
    if low is None and high is None:
        return
    if name is None:
        raise Invalid(
            "Must also specify protocol if port range is given.", type="SecurityGroupProtocolRequiredWithPorts"
        )
    number = protocol_number(name, spec.ethertype)
    if number in _ICMP:
        _check_icmp(low, high)
        return
    if number not in _WITH_PORTS:
        raise Invalid(
            f"Ports cannot be specified for protocol {name}. Ports are only supported for "
            "['dccp', 'sctp', 'tcp', 'udp', 'udplite'].",
            type="SecurityGroupInvalidProtocolForPort",
        )
    for port in (low, high):
        if port is not None and not 1 <= port <= 65535:
            raise Invalid(f"Invalid value for port {port}", type="SecurityGroupInvalidPortValue")
    if low is None or high is None or low > high:
        raise Invalid(
            "For TCP/UDP protocols, port_range_min must be <= port_range_max", type="SecurityGroupInvalidPortRange"
        )


def _check_icmp(kind: int | None, code: int | None) -> None:
    for field, attribute, value in (("type", "port_range_min", kind), ("code", "port_range_max", code)):
        if value is not None and not 0 <= value <= 255:
            raise Invalid(
                f"Invalid value for ICMP {field} ({attribute}) {value}. It must be 0 to 255.",
                type="SecurityGroupInvalidIcmpValue",
            )
    if kind is None and code is not None:
        raise Invalid(
            f"ICMP code (port-range-max) {code} is provided but ICMP type (port-range-min) is missing.",
            type="SecurityGroupMissingIcmpType",
        )
