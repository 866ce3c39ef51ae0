"""Addresses: which are in a subnet, which of them are free, and which one a port gets. Pure; nothing is stored here.

An address is a whole number inside, text at the edges. A pool is a set of intervals, so that a /64 costs no more than a
/24.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import TypeAlias

from sundog.errors import Invalid

IPNetwork: TypeAlias = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Intervals:
    """A set of whole numbers as sorted intervals ``(first, last)``, both included, that neither meet nor overlap."""

    spans: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, spans: Iterable[Sequence[int]]) -> Intervals:
        """The union of any intervals.

        Raises: ValueError for one whose end is before its beginning.
        """
        joined: list[tuple[int, int]] = []
        for first, last in sorted((int(each[0]), int(each[1])) for each in spans):
            if last < first:
                raise ValueError(f"an interval cannot end at {last} before it begins at {first}")
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(joined[-1][1], last))
            else:
                joined.append((first, last))
        return cls(tuple(joined))

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and self._at(number) is not None

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self.spans)

    @property
    def size(self) -> int:
        """How many numbers are in it."""
        return sum(last - first + 1 for first, last in self.spans)

    @property
    def lowest(self) -> int | None:
        """The smallest number in it; None if it is empty."""
        return self.spans[0][0] if self.spans else None

    def without(self, number: int) -> Intervals:
        """The set less one number."""
        index = self._at(number)
        if index is None:
            return self
        first, last = self.spans[index]
        left = ((first, number - 1),) if first < number else ()
        right = ((number + 1, last),) if number < last else ()
        return Intervals((*self.spans[:index], *left, *right, *self.spans[index + 1 :]))

    def plus(self, number: int) -> Intervals:
        """The set and one number."""
        if number in self:
            return self
        at = bisect_right(self.spans, (number,))
        first = last = number
        begin, end = at, at
        if at and self.spans[at - 1][1] == number - 1:
            first, begin = self.spans[at - 1][0], at - 1
        if at < len(self.spans) and self.spans[at][0] == number + 1:
            last, end = self.spans[at][1], at + 1
        return Intervals((*self.spans[:begin], (first, last), *self.spans[end:]))

    def overlaps(self, other: Intervals) -> bool:
        """Whether any number is in both."""
        return self.size + other.size > Intervals.of((*self.spans, *other.spans)).size

    def _at(self, number: int) -> int | None:
        index = bisect_right(self.spans, (number, float("inf"))) - 1
        return index if index >= 0 and number <= self.spans[index][1] else None


@dataclass(frozen=True, slots=True)
class AddressPool:
    """The addresses of a subnet that are given out of its own accord, and those of them that are free."""

    whole: Intervals
    free: Intervals

    @classmethod
    def of(cls, whole: Intervals, taken: Iterable[int] = ()) -> AddressPool:
        """A pool of which ``taken`` are not free; those outside of it do not matter."""
        free = whole
        for number in taken:
            free = free.without(number)
        return cls(whole, free)

    def take_next(self) -> tuple[int, AddressPool] | None:
        """The lowest free address and the pool without it; None if there is none."""
        number = self.free.lowest
        return None if number is None else (number, AddressPool(self.whole, self.free.without(number)))

    def take(self, number: int) -> AddressPool:
        """The pool without this address, whether or not it was in it: who asks knows that nobody has it."""
        return AddressPool(self.whole, self.free.without(number))

    def release(self, number: int) -> AddressPool:
        """The pool with this address back, if it is one of its own."""
        return AddressPool(self.whole, self.free.plus(number)) if number in self.whole else self


def parse_cidr(text: str) -> IPNetwork:
    """A network in CIDR notation.

    Raises: Invalid for anything else, bits beyond the prefix included.
    """
    try:
        loose = ipaddress.ip_network(_unscoped(text), strict=False)
    except ValueError:
        raise Invalid(f"'{text}' is not a valid IP subnet", cidr=text) from None
    if "/" not in text or ipaddress.ip_address(text.partition("/")[0]) != loose.network_address:
        raise Invalid(f"'{text}' isn't a recognized IP subnet cidr, '{loose}' is recommended", cidr=text)
    return loose


def parse_address(text: str) -> int:
    """An address as a number.

    Raises: Invalid for what is no address.
    """
    try:
        return int(ipaddress.ip_address(_unscoped(text)))
    except ValueError:
        raise Invalid(f"'{text}' is not a valid IP address", address=text) from None


def version_of(text: str) -> int:
    """4 or 6, for an address or a network.

    Raises: Invalid for what is neither.
    """
    try:
        return ipaddress.ip_interface(_unscoped(text)).version
    except ValueError:
        raise Invalid(f"'{text}' is not a valid IP address", address=text) from None


def _unscoped(text: str) -> str:
    """The text, which has no zone: Python takes anything at all after the % of an IPv6 address.

    Raises: ValueError.
    """
    if "%" in text:
        raise ValueError("an address of a zone")
    return text


def address_text(number: int, version: int) -> str:
    """A number as an address, in the shortest form."""
    return str(ipaddress.IPv4Address(number) if version == 4 else ipaddress.IPv6Address(number))


def span_of(network: IPNetwork) -> tuple[int, int]:
    """The first and the last number of a network."""
    return int(network.network_address), int(network.broadcast_address)


def default_gateway(network: IPNetwork) -> str:
    """Where the router of a subnet is unless it is said: the address after the network's own."""
    first, last = span_of(network)
    return address_text(min(first + 1, last), network.version)


def default_spans(network: IPNetwork, gateway: str | None) -> Intervals:
    """The addresses that a subnet gives out unless it is said: all hosts but the gateway, as in Neutron."""
    first, last = span_of(network)
    low, high = first + 1, last - (network.version == 4)
    if first == last:
        return Intervals(((first, last),))
    spans = Intervals(((first, last),)) if low >= high else Intervals(((low, high),))
    return spans if gateway is None or low >= high else spans.without(parse_address(gateway))


def is_host(network: IPNetwork, number: int) -> bool:
    """Whether an address is in the network and a host's there: neither the network's own nor the broadcast address."""
    first, last = span_of(network)
    if not first <= number <= last:
        return False
    if network.version == 4:
        return network.prefixlen >= 31 or first < number < last
    return network.prefixlen >= 127 or number != first


def overlapping(network: IPNetwork, others: Iterable[IPNetwork]) -> IPNetwork | None:
    """The first of ``others`` that shares an address with ``network``."""
    first, last = span_of(network)
    for other in others:
        low, high = span_of(other)
        if other.version == network.version and low <= last and first <= high:
            return other
    return None


def eui64(network: IPNetwork, mac: str) -> int:
    """The address that a host with this MAC gives itself in an IPv6 network of 64 bits (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", "").replace("-", ""))
    host = bytes((octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]))
    return int(network.network_address) | int.from_bytes(host, "big")


def next_subnet(prefixes: Iterable[IPNetwork], taken: Iterable[IPNetwork], prefixlen: int) -> IPNetwork | None:
    """The first network of this size in ``prefixes`` that shares no address with ``taken``; None if there is none."""
    used = Intervals.of(span_of(each) for each in taken)
    for prefix in sorted(prefixes, key=lambda each: (each.prefixlen, each.network_address)):
        if prefixlen < prefix.prefixlen:
            continue
        size = 1 << (prefix.max_prefixlen - prefixlen)
        low, end = span_of(prefix)
        for first, last in used:
            if last < low:
                continue
            if first >= low + size:
                break
            low = -(-(last + 1) // size) * size
        if low + size - 1 <= end:
            return type(prefix)((low, prefixlen))
    return None
