"""The filter of a port as libvirt's nwfilter, which libvirtd puts in place before it lets a guest run. Pure.

What a guest sends must come from the port's own addresses (and its allowed pairs), or it is dropped: MAC, ARP, IPv4 and
IPv6 alike, and no guest is a DHCP server or a router to others. Then the rules of its security groups hold, with
connections tracked. Whatever is not let through is dropped, in both directions.

Each rule lets through what begins a connection, the rest of it and its answers, and nothing else does: where a rule
goes, the connections that it let in end with the next packet. So no rule is for all that is ESTABLISHED.

Reference: https://libvirt.org/formatnwfilter.html. "in" is towards the guest there.
"""

from __future__ import annotations

import ipaddress
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias
from xml.etree.ElementTree import Element, SubElement

from sundog.backends.networks import Pair, Rule, WiredPort

# The root of the uuids of filters. Never to be changed: hosts have them.
_FILTERS: Final = uuid.UUID("0f2a4b62-6c0e-4a53-8f5c-5a4a6f0b7f51")
_PREFIX: Final = "sundog-port-"

PROTOCOLS: Final = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 50: "esp", 51: "ah", 58: "icmpv6", 132: "sctp",
                    136: "udplite"}  # fmt: skip
"""What libvirt can tell apart, by number."""

_Net: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_WITH_PORTS: Final = (6, 17, 132)


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter's XML, and which of the rules libvirt has no words for; those stay closed."""

    name: str
    xml: str
    left_out: tuple[Rule, ...] = ()


def filter_name(port: str) -> str:
    """The name of a port's filter on its host."""
    return f"{_PREFIX}{port}"


def port_of(name: str) -> str | None:
    """The port whose filter has this name; None if it is none of ours."""
    return name.removeprefix(_PREFIX) if name.startswith(_PREFIX) else None


def write_filter(port: WiredPort) -> Filter:
    """The filter of a port. One without port security lets everything through."""
    root = Element("filter", name=filter_name(port.id), chain="root")
    SubElement(root, "uuid").text = str(uuid.uuid5(_FILTERS, port.id))
    left_out: tuple[Rule, ...] = ()
    if not port.enabled:
        _drop(root, -1000)
    elif port.secured:
        own = [Pair(port.mac, address.ip) for address in port.addresses]
        _no_spoofing(root, port.mac, [*own, *port.pairs])
        _needed(root)
        left_out = _groups(root, port.rules)
    ET.indent(root)
    return Filter(filter_name(port.id), ET.tostring(root, encoding="unicode") + "\n", left_out)


def _no_spoofing(root: Element, mac: str, sources: Iterable[Pair]) -> None:
    """Frames: what leaves has an address that the port may use, and a protocol that there is a rule for."""
    nets: list[tuple[str, _Net]] = [(each.mac, ipaddress.ip_network(each.prefix, strict=False)) for each in sources]
    four: list[tuple[str, _Net]] = [(owner, net) for owner, net in nets if net.version == 4]
    always: list[tuple[str, _Net]] = [(mac, ipaddress.ip_network(each)) for each in (_link_local(mac), "::")]
    six: list[tuple[str, _Net]] = [*always, *((owner, net) for owner, net in nets if net.version == 6)]
    probe = {"srcmacaddr": mac, "arpsrcmacaddr": mac, "arpsrcipaddr": "0.0.0.0", "opcode": "Request"}  # noqa: S104
    _rule(root, "accept", "out", -900, "arp", **probe)
    for owner, net in four:
        _rule(root, "accept", "out", -900, "arp", srcmacaddr=owner, arpsrcmacaddr=owner, **_arp_source(net))
    _rule(root, "accept", "in", -900, "arp")

    asks = {"srcipaddr": "0.0.0.0", "dstipaddr": "255.255.255.255", "srcportstart": "68", "dstportstart": "67"}  # noqa: S104
    _rule(root, "accept", "out", -800, "ip", srcmacaddr=mac, protocol="udp", **asks)
    _rule(root, "drop", "out", -790, "ip", protocol="udp", srcportstart="67")
    for owner, net in four:
        _rule(root, "accept", "out", -780, "ip", srcmacaddr=owner, **_source(net))
    _rule(root, "accept", "in", -780, "ip")

    _rule(root, "drop", "out", -690, "ipv6", protocol="icmpv6", type="134")
    _rule(root, "drop", "out", -690, "ipv6", protocol="udp", srcportstart="547")
    for owner, net in six:
        _rule(root, "accept", "out", -680, "ipv6", srcmacaddr=owner, **_source(net))
    _rule(root, "accept", "in", -680, "ipv6")
    _drop(root, -500)


def _needed(root: Element) -> None:
    """Packets: what a guest needs to be on a network at all, and errors that connections of its own ran into."""
    for kind in ("all", "all-ipv6"):
        for direction in ("out", "in"):
            _rule(root, "accept", direction, 100, kind, state="RELATED")
    # libvirt lets the answers through by itself.
    _rule(root, "accept", "out", 110, "udp", statematch="false", srcportstart="68", dstportstart="67")
    _rule(root, "accept", "out", 110, "udp-ipv6", statematch="false", srcportstart="546", dstportstart="547")
    for number, directions in _NEIGHBOURS.items():
        for direction in directions:
            _rule(root, "accept", direction, 110, "icmpv6", statematch="false", type=str(number))


# Multicast listeners, router solicitations and advertisements, neighbours: by ICMPv6 type.
_NEIGHBOURS: Final = {130: ("in",), 131: ("out",), 133: ("out",), 134: ("in",), 135: ("in", "out"), 136: ("in", "out"),
                      143: ("out",)}  # fmt: skip


def _groups(root: Element, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    left_out = []
    for rule in rules:
        kind = _kind(rule)
        if kind is None:
            left_out.append(rule)
            continue
        there, back = ("in", "out") if rule.direction == "ingress" else ("out", "in")
        answer = _ANSWERS.get((rule.version, rule.low))
        for remote in (None,) if rule.remotes is None else _joined(rule.remotes):
            if rule.protocol not in (1, 58) or rule.low is None:
                _rule(root, "accept", there, 500, kind, **_ports(rule), **_remote(there, remote))
                continue
            # Of these libvirt does not let the answers through by itself, since they are of another type.
            _rule(root, "accept", there, 500, kind, state="NEW,ESTABLISHED", **_ports(rule), **_remote(there, remote))
            if answer is not None:
                _rule(root, "accept", back, 500, kind, state="ESTABLISHED", type=answer, **_remote(back, remote))
    for kind in ("all", "all-ipv6"):
        _rule(root, "drop", "inout", 900, kind)
    return tuple(left_out)


# What is sent back to echo requests and the like, by IP version and the type of ICMP: whatever connections are of.
_ANSWERS: Final[dict[tuple[int, int | None], str]] = {
    (4, 8): "0",
    (4, 13): "14",
    (4, 15): "16",
    (4, 17): "18",
    (6, 128): "129",
    (6, 139): "140",
}


def _kind(rule: Rule) -> str | None:
    """libvirt's word for the protocol of a rule; None if it has none."""
    number = 58 if (rule.protocol, rule.version) == (1, 6) else rule.protocol
    word = "all" if number is None else PROTOCOLS.get(number)
    if word is None or (number in (1, 2) and rule.version == 6):
        return None
    if (rule.low, rule.high) != (None, None) and number not in (*_WITH_PORTS, 1, 58):
        return None  # without its ports the rule would open more than it says
    if number == 58:
        return word if rule.version == 6 else None
    return word if rule.version == 4 else f"{word}-ipv6"


def _ports(rule: Rule) -> dict[str, str]:
    if rule.protocol in (1, 58):
        said = {"type": rule.low, "code": rule.high}
    elif rule.protocol in _WITH_PORTS:
        said = {"dstportstart": rule.low, "dstportend": rule.high}
    else:
        return {}
    return {name: str(value) for name, value in said.items() if value is not None}


def _joined(remotes: Iterable[str]) -> list[_Net]:
    """The same addresses in as few prefixes as can be: a host runs iptables once for each, at every change."""
    nets = [ipaddress.ip_network(each, strict=False) for each in remotes]
    four = [net for net in nets if isinstance(net, ipaddress.IPv4Network)]
    six = [net for net in nets if isinstance(net, ipaddress.IPv6Network)]
    return [*ipaddress.collapse_addresses(four), *ipaddress.collapse_addresses(six)]


def _remote(direction: str, net: _Net | None) -> dict[str, str]:
    if net is None:
        return {}
    end = "src" if direction == "in" else "dst"
    return {f"{end}ipaddr": str(net.network_address), f"{end}ipmask": str(net.prefixlen)}


def _source(net: _Net) -> dict[str, str]:
    if net.prefixlen == net.max_prefixlen:
        return {"srcipaddr": str(net.network_address)}
    return {"srcipaddr": str(net.network_address), "srcipmask": str(net.prefixlen)}


def _arp_source(net: _Net) -> dict[str, str]:
    if net.prefixlen == net.max_prefixlen:
        return {"arpsrcipaddr": str(net.network_address)}
    return {"arpsrcipaddr": str(net.network_address), "arpsrcipmask": str(net.prefixlen)}


def _link_local(mac: str) -> str:
    """The address that a card with this MAC gives itself (RFC 4291, appendix A)."""
    octets = [int(part, 16) for part in mac.split(":")]
    octets = [octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]]
    groups = [f"{octets[n] << 8 | octets[n + 1]:x}" for n in range(0, 8, 2)]
    return str(ipaddress.ip_address("fe80::" + ":".join(groups)))


def _drop(root: Element, priority: int) -> None:
    """Let no more frames through, in both directions."""
    for direction in ("out", "in"):
        _rule(root, "drop", direction, priority)


def _rule(root: Element, action: str, direction: str, priority: int, kind: str = "", **facts: str) -> None:
    """One rule. ``state`` and ``statematch`` say how connections count; without a kind it is for every frame."""
    rule = SubElement(root, "rule", action=action, direction=direction, priority=str(priority))
    if "statematch" in facts:
        rule.set("statematch", facts.pop("statematch"))
    if kind:
        SubElement(rule, kind, facts)
