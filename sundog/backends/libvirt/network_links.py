"""The links, addresses and routes of networks and routers on a machine, as batches for ip(8). Pure.

A network's bridge on a host is libvirt's own; on the network node it is ours. Bridges of one network are joined over
the hosts' *wire*, a card that all of them have on one segment, by VXLAN: the frames for all go to a multicast group of
the wire's own (``ff02::5d:…``, IPv6 link-local), so that the wire needs no addresses and no host a list of the others.

What is there is read with ``ip -json`` first, so that a batch holds only what is missing, or is too much.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sundog.backends.libvirt.network_dnsmasq import SERVER
from sundog.backends.libvirt.network_nft import OUTSIDE, floating_addresses
from sundog.backends.libvirt.records import bridge_name
from sundog.backends.networks import RouterLeg, WiredNetwork, WiredRouter

VXLAN_PORT: Final = 4789
OVERHEAD: Final = 70
"""What VXLAN over IPv6 adds to a packet, in bytes."""

INSIDE: Final = "net"
"""The name of a network's card in the namespace that serves it."""

_TUNNELS: Final = ("vxlan", "geneve", "gre")


def short(identifier: str) -> str:
    """The beginning of an id, as the names of links have it."""
    return identifier.replace("-", "")[:11]


def tunnel_name(network: str) -> str:
    """The name of a network's tunnel on a machine."""
    return f"svx{short(network)}"


@dataclass(frozen=True, slots=True)
class Spaces:
    """The names of a cloud's namespaces; ``prefix`` tells it from other clouds on the machine."""

    prefix: str = "sundog"

    def network(self, network: str) -> str:
        """The namespace that serves a network."""
        return f"{self.prefix}-net-{network}"

    def router(self, router: str) -> str:
        """The namespace that is a router."""
        return f"{self.prefix}-router-{router}"

    def ours(self, names: Iterable[str]) -> list[str]:
        """Which of the machine's namespaces are this cloud's."""
        return sorted(name for name in names if name.startswith((self.network(""), self.router(""))))

    def network_of(self, name: str) -> str | None:
        """The network that a namespace serves; None if it is none's."""
        return name.removeprefix(self.network("")) if name.startswith(self.network("")) else None


def why_not(network: WiredNetwork) -> str:
    """Why a network cannot be joined between hosts; empty if it can."""
    if network.kind not in _TUNNELS or network.segment is None:
        return f"network {network.id} is {network.kind}, and hosts are joined by tunnels only"
    return ""


def group(segment: int) -> str:
    """The multicast group of a segment on the wire."""
    return str(ipaddress.IPv6Address(f"ff02::5d:{segment >> 16:x}:{segment & 0xFFFF:x}"))


# ------------------------------------------------------------------------------------------------------------ what is


def read_names(text: str) -> frozenset[str]:
    """The names of links, from ``ip -json link``."""
    return frozenset(each["ifname"] for each in json.loads(text or "[]") if "ifname" in each)


def read_namespaces(text: str) -> frozenset[str]:
    """The names of namespaces, from ``ip -json netns``."""
    return frozenset(each["name"] for each in json.loads(text or "[]") if "name" in each)


def read_loose(text: str) -> list[str]:
    """Tunnels of ours whose bridge is gone, from ``ip -json link``."""
    links = (each for each in json.loads(text or "[]") if "ifname" in each)
    return sorted(each["ifname"] for each in links if each["ifname"].startswith("svx") and "master" not in each)


def read_card(text: str, address: str) -> str:
    """The name of the link that has an address, from ``ip -json address``; empty if none has."""
    found = (each["ifname"] for each in json.loads(text or "[]") for a in each.get("addr_info", ()) if "ifname" in each
             and a.get("local") == address)  # fmt: skip
    return next(found, "")


def read_way(text: str) -> str:
    """The card by which a packet leaves, from ``ip -json route get``; empty if that is none."""
    return next((str(each["dev"]) for each in json.loads(text or "[]") if each.get("dev") not in (None, "lo")), "")


def read_mtu(text: str, name: str) -> int:
    """The MTU of a link, from ``ip -json link``; 0 if it is not there."""
    return next((int(each["mtu"]) for each in json.loads(text or "[]") if each.get("ifname") == name), 0)


@dataclass(frozen=True, slots=True)
class Card:
    """A card in a namespace. Addresses have their prefix length."""

    addresses: frozenset[str] = frozenset()
    mac: str = ""
    mtu: int = 1500


@dataclass(frozen=True, slots=True)
class Inside:
    """What is in a namespace, or is to be: cards by name, and routes from a destination to a hop or a card.

    A route's target is an address, or ``dev NAME``.
    """

    cards: Mapping[str, Card] = field(default_factory=dict)
    routes: Mapping[str, str] = field(default_factory=dict)


def read_inside(addresses: str, routes: str) -> Inside:
    """What is in a namespace, from ``ip -json address`` and ``ip -json route``. What the kernel made is left out."""
    cards = {}
    for each in json.loads(addresses or "[]"):
        if each.get("ifname") not in (None, "lo"):
            had = [a for a in each["addr_info"] if a.get("scope") != "link" or a["family"] == "inet"]
            texts = frozenset(f"{a['local']}/{a['prefixlen']}" for a in had)
            cards[each["ifname"]] = Card(texts, each.get("address", ""), each.get("mtu", 1500))
    said = {}
    for each in json.loads(routes or "[]"):
        if each.get("protocol") != "kernel":
            dst = "0.0.0.0/0" if each["dst"] == "default" else each["dst"]
            said[dst if "/" in dst else f"{dst}/32"] = each.get("gateway") or f"dev {each['dev']}"
    return Inside(cards, said)


# -------------------------------------------------------------------------------------------------------- what is to be


def serving(network: WiredNetwork, mtu: int) -> Inside:
    """The inside of the namespace that serves a network: no address but the one that all of them have."""
    four = [s.cidr for s in network.subnets if ipaddress.ip_network(s.cidr).version == 4]
    card = Card(frozenset({f"{SERVER}/32"}), "", mtu)
    return Inside({INSIDE: card}, dict.fromkeys(four, f"dev {INSIDE}"))


def routing(router: WiredRouter, mtus: Mapping[str, int]) -> Inside:
    """The inside of a router. ``mtus`` are those of networks, by id."""
    cards = {leg_name(leg): Card(frozenset(_four(leg)), leg.mac, mtus.get(leg.network_id, 1500)) for leg in router.legs}
    routes = {str(ipaddress.ip_network(cidr)): hop for cidr, hop in router.routes if ":" not in cidr}
    outside = router.outside
    if outside is not None and router.enabled:
        addresses = frozenset([*_four(outside), *floating_addresses(router.floating)])
        cards[OUTSIDE] = Card(addresses, outside.mac, mtus.get(outside.network_id, 1500))
        if router.next_hop is not None and ":" not in router.next_hop:
            routes.setdefault("0.0.0.0/0", router.next_hop)
    return Inside(cards, routes)


def leg_name(leg: RouterLeg) -> str:
    """The name of a router's card in its namespace."""
    return f"leg{short(leg.port_id)}"


def _four(leg: RouterLeg) -> list[str]:
    return [each for each in leg.addresses if ":" not in each]


# -------------------------------------------------------------------------------------------------------------- batches


def joining(network: WiredNetwork, wire: str, present: Iterable[str], mtu: int) -> list[str]:
    """Lead a network's bridge, which is there, onto the wire."""
    bridge, tunnel = bridge_name(network.id), tunnel_name(network.id)
    lines = []
    if tunnel not in present:
        assert network.segment is not None
        lines.append(
            f"link add {tunnel} type vxlan id {network.segment} group {group(network.segment)} dev {wire} "
            f"dstport {VXLAN_PORT}"
        )
    return [*lines, f"link set {tunnel} mtu {mtu} master {bridge} up"]


def bridging(network: WiredNetwork, present: Iterable[str], mtu: int) -> list[str]:
    """A network's bridge on the network node."""
    bridge = bridge_name(network.id)
    lines = [] if bridge in present else [f"link add {bridge} type bridge stp_state 0 forward_delay 0"]
    return [*lines, f"link set {bridge} mtu {mtu} up"]


def plugging(outer: str, bridge: str, namespace: str, inner: str, present: Iterable[str], mtu: int) -> list[str]:
    """A cable from a bridge into a namespace."""
    lines = [] if outer in present else [f"link add {outer} mtu {mtu} type veth peer name {inner} netns {namespace}"]
    return [*lines, f"link set {outer} mtu {mtu} master {bridge} up"]


def serving_cable(network: str) -> str:
    """The bridge's end of the cable to the namespace that serves a network."""
    return f"sdh{short(network)}"


def leg_cable(leg: RouterLeg) -> str:
    """The bridge's end of the cable to a router."""
    return f"srt{short(leg.port_id)}"


def settling(want: Inside, have: Inside) -> list[str]:
    """What turns the inside of a namespace into what it is to be; its cards are there."""
    lines = ["link set lo up"]
    lines += [f"link delete {name}" for name in sorted(set(have.cards) - set(want.cards))]
    lines += [f"route delete {dst}" for dst in sorted(set(have.routes) - set(want.routes))]
    for name, card in sorted(want.cards.items()):
        before = have.cards.get(name, Card())
        if card.mac and before.mac != card.mac:
            lines += [f"link set {name} down", f"link set {name} address {card.mac}"]
        lines.append(f"link set {name} mtu {card.mtu} up")
        lines += [f"address delete {each} dev {name}" for each in sorted(before.addresses - card.addresses)]
        lines += [f"address add {each} dev {name}" for each in _ordered(card.addresses - before.addresses)]
    # A change of addresses or of a card's state may have taken routes with it: all are said again.
    return [*lines, *(f"route replace {dst} {_via(hop)}" for dst, hop in sorted(want.routes.items()))]


def _ordered(addresses: Iterable[str]) -> list[str]:
    """A subnet's own address before single ones: the first is what the router speaks as."""
    return sorted(addresses, key=lambda each: (each.endswith("/32"), each))


def _via(hop: str) -> str:
    return hop if hop.startswith("dev ") else f"via {hop}"


def leaving(network: str, present: Iterable[str]) -> list[str]:
    """Remove a network's bridge and tunnel from the network node."""
    return [f"link delete {name}" for name in (bridge_name(network), tunnel_name(network)) if name in present]


def batch(lines: Iterable[str]) -> str:
    """Lines as ``ip -batch -`` reads them."""
    return "".join(f"{line}\n" for line in lines)
