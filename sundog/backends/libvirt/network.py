"""The networks of real hosts: filters and bridges by libvirt alone, tunnels by ip(8), the rest on the network node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from sundog.backends.contract import HostState
from sundog.backends.libvirt import network_links as links
from sundog.backends.libvirt.failures import Code
from sundog.backends.libvirt.host_xml import write_network
from sundog.backends.libvirt.link import Link
from sundog.backends.libvirt.native import Connection
from sundog.backends.libvirt.network_filters import Filter, filter_name, port_of, write_filter
from sundog.backends.libvirt.network_node import NetworkNode, mtu_on
from sundog.backends.libvirt.network_shell import Commands, machine_of
from sundog.backends.libvirt.records import bridge_name, network_name
from sundog.backends.networks import (
    NetworkCapabilities,
    NetworkDriver,
    Report,
    WiredNetwork,
    WiredPort,
    Wiring,
    check_known,
)
from sundog.errors import BackendFailed, OutcomeUnknown, SundogError
from sundog.runtime import aio
from sundog.units import Seconds

HOST_S: Final[Seconds] = 20.0
"""How long one host is waited for before the others' word is taken without it."""


CAPABILITIES: Final = NetworkCapabilities(
    "libvirt", filters=True, stateful=True, between_hosts=True, dhcp=True, metadata=True, routers=True
)
"""What networks of real hosts can do where there is a network node."""


class LibvirtNetworks:
    """Networks over links to hosts: ``hosts`` are those that there are now. ``node`` None: no DHCP, metadata, routers.

    ``why`` says why there is no node. How a host's networks reach those of others is in its ``HostSpec``.
    """

    def __init__(
        self, hosts: Callable[[], Sequence[Link]], node: NetworkNode | None = None, *, why: str = "",
        machines: Callable[[str, str, tuple[str, ...]], Commands | None] = machine_of,
    ) -> None:  # fmt: skip
        self._hosts, self._node, self._why, self._machines = hosts, node, why, machines
        self._turn = aio.Lock()
        self._ports: dict[str, tuple[WiredNetwork, WiredPort]] = {}
        self._filters: dict[str, tuple[WiredPort, Filter]] = {}
        self._told: dict[tuple[str, str], str] = {}
        self._joined: dict[int, set[str]] = {}
        self.capabilities = (
            CAPABILITIES if node is not None else replace(CAPABILITIES, dhcp=False, metadata=False, routers=False)
        )

    async def apply(self, wiring: Wiring, *, deadline: Seconds) -> Report:
        """Filters first, so that what is taken away is closed before anything else; then tunnels; then the node."""
        try:
            async with aio.timeout(deadline), self._turn:
                self._ports = {port.id: (each, port) for each in wiring.networks for port in each.ports}
                self._filters = {port: made for port, made in self._filters.items() if port in self._ports}
                networks = {each.id: each for each in wiring.networks}
                hosts = self._hosts()
                reports = list(await aio.gather(*(self._apply_on(host, networks) for host in hosts)))
                reports.append(Report(tuple([line async for line in self._closed()])))
                if self._node is not None:
                    away = [each.spec.address for each in hosts if not each.spec.bridged]
                    reports.append(await self._node.apply(wiring, away))
                elif self._why:
                    reports.append(Report((f"networks have no DHCP, metadata or routers: {self._why}",)))
                return Report(
                    tuple(line for each in reports for line in each.left_out),
                    tuple(line for each in reports for line in each.failed),
                )
        except TimeoutError:
            raise OutcomeUnknown(f"networks were not as they are to be after {deadline:.0f} s; apply again") from None

    async def _apply_on(self, host: Link, networks: Mapping[str, WiredNetwork]) -> Report:
        self._joined.pop(host.number, None)
        if host.state is not HostState.UP:
            return Report((f"host {host.name} is {host.state}; its filters and tunnels are as they were",))
        try:
            async with aio.timeout(HOST_S), host.networks:
                filters, bridges = await host.call("list networks", _have)
                here = [networks[each] for each in bridges if each in networks]
                known = [port for port in filters if port in self._ports]
                await self._write(host, [self._ports[port][1] for port in known])
                for port in filters:
                    if port not in self._ports:
                        self._told.pop((host.uuid, port), None)
                        await host.call("remove filter", partial(_remove_filter, host, filter_name(port)))
                left_out = [*await self._join(host, here), *(await self._unfiltered(host) if known else ())]
                self._joined[host.number] = {each.id for each in here}
                return Report(tuple(left_out))
        except TimeoutError:
            return Report(failed=(f"host {host.name} was not done after {HOST_S:.0f} s",))
        except SundogError as error:
            return Report(failed=(f"host {host.name}: {error.message}",))

    async def bind(self, host: str, ports: Sequence[str], *, deadline: Seconds) -> None:
        """Bridge, tunnel and filter of each port."""
        link = next((each for each in self._hosts() if each.uuid == host), None)
        if link is None:
            raise BackendFailed(f"there is no host {host}; hosts() lists those that there are", host=host)
        try:
            async with aio.timeout(deadline), link.networks:
                await self.prepare(link, ports)
        except TimeoutError:
            raise OutcomeUnknown(
                f"ports were not bound on host {link.name} after {deadline:.0f} s", host=host
            ) from None

    async def prepare(self, host: Link, ports: Sequence[str]) -> None:
        """As ``bind``, for who holds ``host.networks``: so that nobody takes the network away before it is used."""
        check_known(frozenset(self._ports), host.uuid, ports)
        wanted = [self._ports[port] for port in ports]
        networks = {network.id: network for network, _ in wanted}
        for network in networks.values():
            await host.call("network", partial(_have_network, host, network))
        joined = self._joined.setdefault(host.number, set())
        if fresh := [network for network in networks.values() if network.id not in joined]:
            await self._join(host, fresh)
            joined.update(network.id for network in fresh)
        for _, port in wanted:  # what it was told before it may have lost
            self._told.pop((host.uuid, port.id), None)
        await self._write(host, [port for _, port in wanted])

    def left(self, host: Link, networks: Iterable[str]) -> None:
        """These networks of libvirt's are not on a host any more, and nothing that they were joined by is of use."""
        self._joined.get(host.number, set()).difference_update(_network_of(name) for name in networks)

    # -- filters

    def _filter(self, port: WiredPort) -> Filter:
        """The filter of a port, which is not made again for one that has not changed."""
        before = self._filters.get(port.id)
        if before is None or before[0] != port:
            before = self._filters[port.id] = port, write_filter(port)
        return before[1]

    async def _closed(self) -> AsyncIterator[str]:
        """What of the ports' rules libvirt cannot express. Others have their turn between two."""
        for port_id, (_, port) in list(self._ports.items()):
            for rule in self._filter(port).left_out:
                yield (
                    f"port {port_id} keeps closed what its rule for IP protocol {rule.protocol} (IPv{rule.version}) "
                    "would open, since libvirt has no word for it"
                )
            await aio.sleep(0)

    async def _write(self, host: Link, ports: Iterable[WiredPort]) -> None:
        """Have these filters on a host; those that it was told already are not told again."""
        for port in ports:
            made = self._filter(port)
            if self._told.get((host.uuid, port.id)) != made.xml:
                self._told.pop((host.uuid, port.id), None)
                await host.call("filter", partial(_define, host, made))
                self._told[host.uuid, port.id] = made.xml

    # -- tunnels

    async def _join(self, host: Link, networks: Sequence[WiredNetwork]) -> list[str]:
        """Lead bridges of a host, which are there, to the others; what cannot be, in sentences."""
        spec = host.spec
        if spec.bridged or (self._node is None and len(self._hosts()) < 2):
            return []  # the bridges are the network node's, or there is nothing that they could lead to
        machine = self._machines(host.name, spec.uri, spec.shell)
        if machine is None:
            return [f"host {host.name} is not reached over SSH, so its networks end there; give its --shell"]
        text = await machine.run("ip", "-json", "address", "show")
        card = spec.wire or links.read_card(text, spec.address)
        present, carries = links.read_names(text), links.read_mtu(text, card)
        if not carries:
            which = f"no card {spec.wire}" if spec.wire else f"no card with the address {spec.address}"
            return [f"host {host.name} has {which}, so its networks end there; say with --wire which joins them"]
        left_out, lines = [], []
        kept = {links.tunnel_name(network.id) for network in networks}
        for network in networks:
            if why := links.why_not(network):
                left_out.append(f"host {host.name}: {why}")
            elif bridge_name(network.id) in present:
                lines += links.joining(network, card, present, mtu_on(network, carries))
        lines += [f"link delete {name}" for name in links.read_loose(text) if name not in kept]
        short = [each.id for each in networks if mtu_on(each, carries) < each.mtu]
        if short:
            left_out.append(
                f"the wire {card} of host {host.name} carries {carries} bytes, so network {short[0]} has packets "
                f"of {carries - links.OVERHEAD} at most; raise its MTU by {links.OVERHEAD}"
            )
        await machine.ip(lines)
        return left_out

    async def _unfiltered(self, host: Link) -> list[str]:
        """Why rules of security groups do not hold on a host, if they do not. libvirt says it in its log alone."""
        machine = self._machines(host.name, host.spec.uri, host.spec.shell)
        if machine is None:
            return []
        try:
            told = await machine.run("cat", *_CALLED)
        except BackendFailed:
            return []  # the kernel begins to look into bridges with the first guest that has a filter
        if "0" not in told.split():
            return []
        return [
            f"host {host.name} does not look into bridges, so security groups let everything through there and only "
            "spoofing is stopped; set the sysctls net.bridge.bridge-nf-call-iptables and bridge-nf-call-ip6tables to 1"
        ]


_CALLED: Final = tuple(f"/proc/sys/net/bridge/bridge-nf-call-{each}" for each in ("iptables", "ip6tables"))


# ------------------------------------------------------------------------------------------------ in a host's threads


def _have(connection: Connection) -> tuple[list[str], list[str]]:
    """The ports that have filters, and the networks that have bridges."""
    filters = [port for each in connection.listAllNWFilters(0) if (port := port_of(each.name())) is not None]
    names = [each.name() for each in connection.listAllNetworks(0) if each.isActive()]
    return filters, [_network_of(name) for name in names if name.startswith(network_name(""))]


def _network_of(name: str) -> str:
    """The id of the network that libvirt calls so."""
    return name.removeprefix(network_name(""))


def _define(host: Link, made: Filter, connection: Connection) -> None:
    try:
        connection.nwfilterDefineXML(made.xml)
    except host.library.libvirtError as error:
        if error.get_error_code() != Code.INTERNAL_ERROR:
            raise
        # It stumbles over the card of a guest that has just ended, and then knows of it.
        connection.nwfilterDefineXML(made.xml)


def _remove_filter(host: Link, name: str, connection: Connection) -> None:
    """One that a guest still has stays until the next time."""
    try:
        connection.nwfilterLookupByName(name).undefine()
    except host.library.libvirtError as error:
        if error.get_error_code() not in (Code.NO_NWFILTER, Code.OPERATION_INVALID):
            raise


def _have_network(host: Link, network: WiredNetwork, connection: Connection) -> None:
    name = network_name(network.id)
    try:
        there = connection.networkLookupByName(name)
    except host.library.libvirtError as error:
        if error.get_error_code() != Code.NO_NETWORK:
            raise
        text = write_network(name, bridge_name(network.id), network.mtu, own=not host.spec.bridged)
        there = connection.networkDefineXML(text)
        there.setAutostart(1)
    if not there.isActive():
        there.create()


if TYPE_CHECKING:

    def _keeps_the_contract(driver: LibvirtNetworks) -> NetworkDriver:
        return driver
