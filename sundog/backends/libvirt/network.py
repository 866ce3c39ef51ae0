"""The networks of real hosts: filters and bridges by libvirt alone, tunnels by ip(8), the rest on the network node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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
from sundog.backends.libvirt.network_shell import machine_of
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


class LibvirtNetworks:
    """Networks over links to hosts: ``hosts`` are those that there are now. ``node`` None: no DHCP, metadata, routers.

    ``why`` says why there is no node. How a host's networks reach those of others is in its ``HostSpec``.
    """

    def __init__(self, hosts: Callable[[], Sequence[Link]], node: NetworkNode | None = None, *, why: str = "") -> None:
        self._hosts, self._node, self._why = hosts, node, why
        self._turn = aio.Lock()
        self._ports: dict[str, tuple[WiredNetwork, WiredPort]] = {}
        self._told: dict[tuple[str, str], str] = {}
        self.capabilities = NetworkCapabilities(
            "libvirt", filters=True, stateful=True, between_hosts=True,
            dhcp=node is not None, metadata=node is not None, routers=node is not None,
        )  # fmt: skip

    async def apply(self, wiring: Wiring, *, deadline: Seconds) -> Report:
        """Filters first, so that what is taken away is closed before anything else; then tunnels; then the node."""
        try:
            async with aio.timeout(deadline), self._turn:
                self._ports = {port.id: (each, port) for each in wiring.networks for port in each.ports}
                networks = {each.id: each for each in wiring.networks}
                hosts = self._hosts()
                reports = list(await aio.gather(*(self._apply_on(host, networks) for host in hosts)))
                reports.append(Report(tuple(line for each in self._ports.values() for line in _closed(each[1]))))
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
                return Report(tuple(await self._join(host, here)))
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
        networks = list({network.id: network for network, _ in wanted}.values())
        for network in networks:
            await host.call("network", partial(_have_network, host, network))
        await self._join(host, networks)
        for _, port in wanted:  # what it was told before it may have lost
            self._told.pop((host.uuid, port.id), None)
        await self._write(host, [port for _, port in wanted])

    # -- filters

    async def _write(self, host: Link, ports: Iterable[WiredPort]) -> None:
        """Have these filters on a host; those that it was told already are not told again."""
        for port in ports:
            made = write_filter(port)
            if self._told.get((host.uuid, port.id)) != made.xml:
                self._told.pop((host.uuid, port.id), None)
                await host.call("filter", partial(_define, made))
                self._told[host.uuid, port.id] = made.xml

    # -- tunnels

    async def _join(self, host: Link, networks: Sequence[WiredNetwork]) -> list[str]:
        """Lead bridges of a host, which are there, to the others; what cannot be, in sentences."""
        spec = host.spec
        if spec.bridged or (self._node is None and len(self._hosts()) < 2):
            return []  # the bridges are the network node's, or there is nothing that they could lead to
        machine = machine_of(host.name, spec.uri, spec.shell)
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


def _closed(port: WiredPort) -> list[str]:
    """What of a port's rules libvirt cannot express."""
    return [
        f"port {port.id} keeps closed what its rule for IP protocol {rule.protocol} (IPv{rule.version}) would open, "
        "since libvirt has no word for it"
        for rule in write_filter(port).left_out
    ]


# ------------------------------------------------------------------------------------------------ in a host's threads


def _have(connection: Connection) -> tuple[list[str], list[str]]:
    """The ports that have filters, and the networks that have bridges."""
    filters = [port for each in connection.listAllNWFilters(0) if (port := port_of(each.name())) is not None]
    prefix = network_name("")
    names = [each.name() for each in connection.listAllNetworks(0) if each.isActive()]
    return filters, [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


def _define(made: Filter, connection: Connection) -> None:
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
