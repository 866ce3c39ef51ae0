"""The rules of a router's namespace for nftables: NAT, floating IPs, and what may come in. Pure.

One text replaces everything at once, so there is no moment without rules. Floating IPs are two maps, and their pairs a
set: the kernel goes on translating a connection as it began to, so one whose pair is there no longer is dropped. What
comes from outside is let in if it answers, or if it came for a floating IP; without SNAT the router is an ordinary one,
and security groups are what protects servers.

Reference: https://wiki.nftables.org/wiki-nftables/index.php/Performing_Network_Address_Translation_(NAT).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sundog.backends.networks import Floating, WiredRouter

OUTSIDE: Final = "out"
"""The name of a router's card on its external network."""

TABLE: Final = "sundog"


def ruleset(router: WiredRouter) -> str:
    """All rules of a router, as ``nft -f`` reads them."""
    lines = [f"table ip {TABLE}", f"delete table ip {TABLE}", f"table ip {TABLE} {{"]
    floating = router.floating if router.outside is not None and router.enabled else ()
    lines += _holding("map inwards", "ipv4_addr : ipv4_addr", (f"{each.address} : {each.fixed}" for each in floating))
    lines += _holding("map outwards", "ipv4_addr : ipv4_addr", (f"{each.fixed} : {each.address}" for each in floating))
    lines += _holding("set pairs", "ipv4_addr . ipv4_addr", (f"{each.address} . {each.fixed}" for each in floating))
    lines += _chain("arrive", "type nat hook prerouting priority dstnat; policy accept;",
                    ["dnat to ip daddr map @inwards"])  # fmt: skip
    lines += _chain("leave", "type nat hook postrouting priority srcnat; policy accept;", _leave(router))
    lines += _chain("pass", "type filter hook forward priority filter; policy accept;", _pass(router))
    return "\n".join([*lines, "}", ""])


def _leave(router: WiredRouter) -> list[str]:
    own = _own(router)
    rules = [f'oifname "{OUTSIDE}" ct status dnat return', f'oifname "{OUTSIDE}" snat to ip saddr map @outwards']
    if own and router.snat:
        rules.append(f'oifname "{OUTSIDE}" snat to {own}')
    if own:  # a server that asks for the floating IP of its neighbour must be answered through us
        rules.append(f'iifname != "{OUTSIDE}" oifname != "{OUTSIDE}" ct status dnat snat to {own}')
    return rules


def _pass(router: WiredRouter) -> list[str]:
    if not router.enabled:
        return ["drop"]
    own = f"ct reply ip daddr != {own} " if (own := _own(router)) else ""
    rules = [
        "ct status dnat ct original ip daddr . ct reply ip saddr != @pairs drop",
        f"ct status snat {own}ct reply ip daddr . ct original ip saddr != @pairs drop",
    ]
    if router.outside is None or not router.snat:
        return rules
    return [
        *rules,
        f'iifname "{OUTSIDE}" ct state established,related accept',
        f'iifname "{OUTSIDE}" ct status dnat accept',
        f'iifname "{OUTSIDE}" drop',
    ]


def _own(router: WiredRouter) -> str:
    """The router's own IPv4 address outside; empty if it has none."""
    addresses = () if router.outside is None else router.outside.addresses
    return next((each.partition("/")[0] for each in addresses if ":" not in each), "")


def floating_addresses(floating: Iterable[Floating]) -> tuple[str, ...]:
    """The addresses that a router answers for outside, besides its own."""
    return tuple(f"{each.address}/32" for each in floating)


def _holding(what: str, kind: str, elements: Iterable[str]) -> list[str]:
    """A map or set and what is in it."""
    told = ", ".join(sorted(elements))
    return [f"  {what} {{", f"    type {kind}", *([f"    elements = {{ {told} }}"] if told else []), "  }"]


def _chain(name: str, hook: str, rules: Iterable[str]) -> list[str]:
    return [f"  chain {name} {{", *(f"    {line}" for line in (hook, *rules)), "  }"]
