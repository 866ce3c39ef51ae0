"""What dnsmasq is told about a network: its command, and the files of hosts, names and options. Pure.

A network has one dnsmasq, in a namespace whose only address is 169.254.169.254, so that no address of a subnet is spent
on it; guests are told that this address is on their wire. Only ports are given addresses, and each those of its own.

What clients wrote goes into these files (DHCP options), one line each: a value that could end its line, or say more
than itself, is left out and named, never escaped by guessing. Host names are made from addresses, never from names.

Reference: https://thekelleys.org.uk/dnsmasq/docs/dnsmasq-man.html.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from sundog.backends.networks import DhcpOption, WiredNetwork, WiredPort, WiredSubnet

SERVER: Final = "169.254.169.254"
"""Where DHCP, DNS and metadata are on every network (RFC 3927 keeps it on the wire)."""

LEASE_S: Final = 86400
DOMAIN: Final = "sundoglocal"

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_VALUE: Final = re.compile(r"[\x20-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class DnsmasqFiles:
    """Files by what they are for, and which options of which ports are not in them."""

    hosts: str
    names: str
    options: str
    left_out: tuple[tuple[str, DhcpOption], ...] = ()


def command(network: WiredNetwork, folder: str, interface: str = "net") -> tuple[str, ...]:
    """How dnsmasq is started for a network, as a daemon: it reads the files in ``folder``, and serves ``interface``."""
    ranges = [
        f"--dhcp-range=set:{_tag(subnet)},{_net(subnet).network_address},static,{_net(subnet).netmask},{LEASE_S}"
        for subnet in _served(network)
    ]
    shared = [f"--shared-network={interface},{_net(subnet).network_address}" for subnet in _served(network)]
    return (
        "dnsmasq", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--no-poll",
        f"--interface={interface}", "--except-interface=lo", "--bind-interfaces", f"--domain={DOMAIN}",
        f"--local=/{DOMAIN}/", "--dhcp-authoritative", "--dhcp-no-override", "--dhcp-ignore=tag:!known",
        "--leasefile-ro", f"--dhcp-hostsfile={folder}/hosts", f"--addn-hosts={folder}/names",
        f"--dhcp-optsfile={folder}/options", f"--pid-file={folder}/pid", "--user=root", "--group=root",
        *shared, *ranges,
    )  # fmt: skip


def files(network: WiredNetwork, mtu: int | None = None) -> DnsmasqFiles:
    """What its dnsmasq is to read. ``mtu`` is what its packets may be here, if that is less than they may be."""
    options, left_out = [*_network_options(network, mtu or network.mtu)], []
    for port in network.ports:
        for option in port.dhcp_options:
            line = _option_line(port, option)
            if line is None:
                left_out.append((port.id, option))
            else:
                options.append(line)
    return DnsmasqFiles(_lines(_host_lines(network)), _lines(_name_lines(network)), _lines(options), tuple(left_out))


def must_start_anew(before: str, after: str) -> bool:
    """Whether dnsmasq cannot be told to read the files again, if these were the hosts in them and are now.

    It keeps an address for who had it last, for a day, whoever is to have it now. And 2.90 dies of reading again when a
    client that it gave a tag is on a shared network: it frees what is not its own.
    """
    return ",set:" in before or not set(before.splitlines()) <= set(after.splitlines())


def host_name(ip: str) -> str:
    """The name that an address is known by on its network."""
    return f"host-{re.sub('[^0-9a-f]', '-', ipaddress.ip_address(ip).exploded)}"


def _host_lines(network: WiredNetwork) -> Iterator[str]:
    served = {subnet.id for subnet in _served(network)}
    for port in network.ports:
        for address in port.addresses:
            if port.enabled and address.subnet_id in served:
                tag = f"set:port-{port.id}," if port.dhcp_options else ""
                yield f"{port.mac},{tag}{address.ip},{host_name(address.ip)}"


def _name_lines(network: WiredNetwork) -> Iterator[str]:
    for port in network.ports:
        for address in port.addresses:
            name = host_name(address.ip)
            yield f"{address.ip} {name}.{DOMAIN} {name}"


def _network_options(network: WiredNetwork, mtu: int) -> Iterator[str]:
    for subnet in _served(network):
        tag = f"tag:{_tag(subnet)}"
        routes = [(f"{SERVER}/32", "0.0.0.0"), *subnet.routes]  # noqa: S104 - it is on the wire (RFC 3442)
        if subnet.gateway is not None:
            routes.append(("0.0.0.0/0", subnet.gateway))
            yield f"{tag},option:router,{subnet.gateway}"
        else:
            yield f"{tag},option:router"  # said empty, or dnsmasq says itself
        yield f"{tag},option:classless-static-route,{','.join(part for route in routes for part in route)}"
        servers = [each for each in subnet.nameservers if ipaddress.ip_address(each).version == 4]
        yield f"{tag},option:dns-server,{','.join(servers or [SERVER])}"
        yield f"{tag},option:mtu,{mtu}"


def _option_line(port: WiredPort, option: DhcpOption) -> str | None:
    """A port's own option; None if it cannot be written without saying anything else."""
    name = option.name.lower()
    if option.version != 4 or not _VALUE.fullmatch(option.value):
        return None
    if name.isascii() and name.isdecimal():
        word = name if 1 <= int(name) <= 254 else ""
    else:
        word = f"option:{name}" if _NAME.fullmatch(name) else ""
    return f"tag:port-{port.id},{word},{option.value}" if word else None


def _served(network: WiredNetwork) -> list[WiredSubnet]:
    """The subnets whose addresses are given by DHCP: IPv4 alone; IPv6 is done by router advertisements."""
    return [subnet for subnet in network.subnets if subnet.dhcp and ipaddress.ip_network(subnet.cidr).version == 4]


def _net(subnet: WiredSubnet) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(subnet.cidr)


def _tag(subnet: WiredSubnet) -> str:
    return f"subnet-{subnet.id}"


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
