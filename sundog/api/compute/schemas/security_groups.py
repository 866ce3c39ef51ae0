"""Security groups and their rules, until 2.35. What is not declared is let through, as Nova has always done here."""

from __future__ import annotations

from ipaddress import ip_interface
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field

from sundog.api.compute.schemas.common import Limit, Part, Uuid
from sundog.api.kit.bodies import Query
from sundog.errors import Invalid

_ANYWHERE: Final = "0.0.0.0/0"
_MOST_PORT: Final = 65535
_MOST_ICMP: Final = 255

Text = Annotated[str, Field(max_length=255)]


class Loose(Part):
    """A part that may have more keys than are looked at."""

    model_config = ConfigDict(extra="ignore", populate_by_name=False, strict=True)


class ListSecurityGroups(Query):
    """Which page; with ``all_tenants``, whatever it says, those of all projects."""

    all_tenants: str | None = None
    limit: Limit | None = None
    offset: Limit = 0


class SecurityGroupText(Loose):
    """What a group is called, and what it is for."""

    name: Text
    description: Text


class NewSecurityGroup(Loose):
    """A group to be made or changed."""

    security_group: SecurityGroupText


class RuleParts(Loose):
    """A rule: who is let in, by addresses or by the group they are in, and to which ports.

    Ports may come as text; ICMP has a type and a code there, -1 for any.
    """

    parent_group_id: Uuid
    group_id: Uuid | None = None
    ip_protocol: Any = None
    from_port: Any = None
    to_port: Any = None
    cidr: Any = None


class NewRule(Loose):
    """A rule to be made."""

    security_group_rule: RuleParts


def neutrons_rule(told: RuleParts) -> dict[str, Any]:
    """A rule as the network takes it. Raises: Invalid for one that makes no sense."""
    protocol, low, high = _traffic(told)
    prefix = None if told.group_id is not None else _prefix(told.cidr)
    return {
        "security_group_id": told.parent_group_id,
        "direction": "ingress",
        "ethertype": "IPv6" if prefix is not None and ":" in prefix else "IPv4",
        "protocol": protocol,
        "port_range_min": None if low == -1 else low,
        "port_range_max": None if high == -1 else high,
        "remote_ip_prefix": prefix,
        "remote_group_id": told.group_id,
    }


def _traffic(told: RuleParts) -> tuple[str | None, int | None, int | None]:
    """The protocol and its ports; from a group everything is let in where nothing is said."""
    protocol = None if told.ip_protocol is None else str(told.ip_protocol)
    kind, low, high = (protocol or "").upper(), told.from_port, told.to_port
    if told.group_id is not None and low is None and high is None and kind in ("ICMP", "TCP", "UDP"):
        low, high = (-1, -1) if kind == "ICMP" else (1, _MOST_PORT)
    if not protocol or low is None or high is None:
        if told.group_id is None:
            raise Invalid("Not enough parameters to build a valid rule.")
        return None, None, None
    first, last = _number(low, kind), _number(high, kind)
    if kind not in ("TCP", "UDP", "ICMP"):
        raise Invalid(f"Invalid IP protocol {protocol}.", protocol=protocol)
    _check_range(kind, first, last)
    return protocol.lower(), first, last


def _number(value: Any, kind: str) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        what = "Type and Code must be integers for ICMP protocol type" if kind == "ICMP" else None
        raise Invalid(f"Invalid input received: {what or 'To and From ports must be integers'}") from None


def _check_range(kind: str, first: int, last: int) -> None:
    """Raises: Invalid."""
    wrong = None
    if kind == "ICMP":
        if not (-1 <= first <= _MOST_ICMP and -1 <= last <= _MOST_ICMP):
            wrong = "For ICMP, the type:code must be valid"
    elif first > last:
        wrong = "Former value cannot be greater than the later"
    elif first < 1 or last > _MOST_PORT:
        wrong = f"Valid {kind} ports should be between 1-65535"
    if wrong is not None:
        raise Invalid(f"Invalid port range {first}:{last}. {wrong}", first=first, last=last)


def _prefix(told: Any) -> str:
    """Where traffic may come from; without anything said, anywhere."""
    if not told:
        return _ANYWHERE
    text = str(told)
    try:
        interface = ip_interface(text) if "/" in text else None
    except ValueError:
        interface = None
    if interface is None:
        raise Invalid(f"Invalid cidr {text[:64]}.", cidr=text)
    if interface.network.prefixlen == 0 and int(interface.ip):
        raise Invalid(f"Bad prefix for network in cidr {text}", cidr=text)
    return text
