"""The networks of real hosts: filters and bridges by libvirt alone, tunnels by ip(8), the rest on the network node."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from sundog.backends.contract import HostState
from sundog.backends.libvirt import network_links as links
from sundog.backends.libvirt.failures import Code
from sundog.backends.libvirt.host_xml import write_network
from sundog.backends.libvirt.link import Link
from sundog.backends.libvirt.native import Connection
from sundog.backends.libvirt.network_changes import taken_back
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
from sundog.errors import BackendFailed, HostDown, OutcomeUnknown, SundogError
from sundog.runtime import aio, clock
from sundog.units import Seconds

_LOG: Final = logging.getLogger("sundog.network")

HOST_S: Final[Seconds] = 20.0
"""How long a host is waited for that is to let go of an address."""

LATE_S: Final[Seconds] = 60.0
"""How long a host may take before it is said; in a large group, on a host to which servers come, that is soon half."""

CALM_S: Final[Seconds] = 20.0
"""How long what only opens waits for servers that come to its host. libvirt lays one filter at a time, and the guest
that starts waits for that; and what changes meanwhile is told at once."""

SETTLE_S: Final[Seconds] = 0.5
"""How long what only opens waits once its host is owed something else: for the server that has it opened, if one is
about to come."""

_LOOK_S: Final[Seconds] = 0.1


CAPABILITIES: Final = NetworkCapabilities(
    "libvirt", filters=True, stateful=True, between_hosts=True, dhcp=True, metadata=True, routers=True
)
"""What networks of real hosts can do where there is a network node."""


@dataclass(slots=True)
class _Part:
    """What one host was told, and what it is still to be told.

    ``told`` are ports as they were when it was told their filters, with the XML; that is empty while nobody knows
    whether it heard. ``owed`` are ports whose filters are others by now, with the other ends that are to be let in no
    more; None for a filter that only opens.
    """

    host: Link
    told: dict[str, tuple[WiredPort, str]] = field(default_factory=dict)
    owed: dict[str, frozenset[str] | None] = field(default_factory=dict)
    joined: set[str] = field(default_factory=set)
    due: bool = False
    changed: Seconds = -math.inf
    since: Seconds | None = None
    task: asyncio.Task[None] | None = None
    report: Report = field(default_factory=Report)
    moved: aio.Event = field(default_factory=aio.Event)

    @property
    def is_at_work(self) -> bool:
        """Whether it is being told."""
        return self.task is not None and not self.task.done()

    def next(self, *, closing: bool) -> str | None:
        """The port whose filter it is to be told next; ``closing``: only if that closes something."""
        first = next((port for port, ends in self.owed.items() if ends is not None), None)
        return first if first is not None or closing else next(iter(self.owed), None)

    def lets_in(self, addresses: frozenset[str]) -> bool:
        """Whether it still lets one of these in that it is to let in no more."""
        return any(ends and not ends.isdisjoint(addresses) for ends in self.owed.values())


Machines: TypeAlias = Callable[[str, str, tuple[str, ...]], Commands | None]
"""How commands are run on a host with this name, URI and shell; None where there is no way."""


@asynccontextmanager
async def networks_over(
    hosts: Callable[[], Sequence[Link]], node: NetworkNode | None = None, *, why: str = "",
    machines: Machines = machine_of,
) -> AsyncIterator[LibvirtNetworks]:  # fmt: skip
    """Networks over links to hosts, which follow for as long as the block; ``hosts`` are those that there are now.

    ``node`` None: no DHCP, metadata, routers, and ``why`` says why. How a host's networks reach those of others is in
    its ``HostSpec``.
    """
    async with aio.background() as tasks:
        networks = LibvirtNetworks(hosts, tasks, node, why, machines)
        try:
            yield networks
        finally:
            networks.stop()


class LibvirtNetworks:
    """The networks of hosts: a ``NetworkDriver``. Made by ``networks_over``.

    Each host follows the wiring in a task of its own; however much changes while it does, it is told each filter once
    more at most.
    """

    def __init__(
        self, hosts: Callable[[], Sequence[Link]], tasks: aio.TaskGroup, node: NetworkNode | None, why: str,
        machines: Machines,
    ) -> None:  # fmt: skip
        self._hosts, self._tasks, self._node, self._why, self._machines = hosts, tasks, node, why, machines
        self._turn = aio.Lock()
        self._networks: dict[str, WiredNetwork] = {}
        self._ports: dict[str, tuple[WiredNetwork, WiredPort]] = {}
        self._filters: dict[str, tuple[WiredPort, Filter]] = {}
        self._parts: dict[int, _Part] = {}
        self._said = Report()
        self.capabilities = (
            CAPABILITIES if node is not None else replace(CAPABILITIES, dhcp=False, metadata=False, routers=False)
        )

    @property
    def report(self) -> Report:
        """What of the last wiring is not so, by what the network node and the hosts said."""
        parts = list(self._parts.values())
        slow = [part.host.name for part in parts if part.since is not None and clock.now() - part.since >= LATE_S]
        return Report(
            (
                *self._said.left_out,
                *(line for part in parts for line in part.report.left_out),
                *(f"host {name} was not done after {LATE_S:.0f} s; it goes on" for name in slow),
            ),
            (*self._said.failed, *(line for part in parts for line in part.report.failed)),
        )

    async def apply(self, wiring: Wiring, *, deadline: Seconds) -> Report:
        """The node's part, while hosts begin with theirs."""
        try:
            async with aio.timeout(deadline), self._turn:
                before = {port for _, port in self._ports.values()}
                self._networks = {each.id: each for each in wiring.networks}
                self._ports = {port.id: (each, port) for each in wiring.networks for port in each.ports}
                self._filters = {port: made for port, made in self._filters.items() if port in self._ports}
                hosts = self._hosts()
                numbers = {host.number: host for host in hosts}
                for part in self._parts.values():
                    if part.host.number not in numbers and part.task is not None:
                        part.task.cancel()
                self._parts = {number: self._parts.get(number) or _Part(host) for number, host in numbers.items()}
                for part in self._parts.values():
                    self._set_off(part)
                reports = [Report(tuple([line async for line in self._closed()]))]
                if self._node is not None:
                    away = [each.spec.address for each in hosts if not each.spec.bridged]
                    reports.append(await self._node.apply(wiring, away))
                elif self._why:
                    reports.append(Report((f"networks have no DHCP, metadata or routers: {self._why}",)))
                self._said = Report(
                    tuple(line for each in reports for line in each.left_out),
                    tuple(line for each in reports for line in each.failed),
                )
                new = [port for _, port in self._ports.values() if port not in before]
                await self._let_go(frozenset(f"{a.ip}/{128 if ':' in a.ip else 32}" for p in new for a in p.addresses))
                return self.report
        except TimeoutError:
            raise OutcomeUnknown(f"networks were not as they are to be after {deadline:.0f} s; apply again") from None

    async def done(self, *, deadline: Seconds) -> Report:
        """Hosts that answer have followed."""
        try:
            async with aio.timeout(deadline):
                while busy := [part.task for part in self._parts.values() if part.task and part.is_at_work]:
                    await asyncio.wait(busy)
        except TimeoutError:
            names = ", ".join(part.host.name for part in self._parts.values() if part.is_at_work)
            raise OutcomeUnknown(f"networks of {names} were not as they are to be after {deadline:.0f} s") from None
        return self.report

    def stop(self) -> None:
        """Leave hosts as they are."""
        for part in self._parts.values():
            if part.task is not None:
                part.task.cancel()

    async def _let_go(self, addresses: frozenset[str]) -> None:
        """Wait until no host that answers lets these in for who had them before; for so long."""
        with contextlib.suppress(TimeoutError):
            async with aio.timeout(HOST_S):
                for part in self._parts.values():
                    while part.is_at_work and part.host.state is HostState.UP and part.lets_in(addresses):
                        part.moved.clear()
                        await part.moved.wait()

    # -- hosts

    def _set_off(self, part: _Part) -> None:
        """Have a host follow the wiring, which is another one now, or is said again."""
        before = dict(part.owed)
        for port in part.told:
            self._owe(part, port)
        if part.owed != before:
            part.changed = clock.now()
        part.due = True
        if not part.is_at_work:
            part.task = self._tasks.create_task(self._follow(part), name=f"networks of {part.host.name}")

    def _owe(self, part: _Part, port: str) -> None:
        """Note whether a host is to be told another filter of a port than it was."""
        before, text = part.told[port]
        after = self._ports.get(port)
        if after is None or (text and after[1] == before):
            part.owed.pop(port, None)
        else:
            part.owed[port] = taken_back(before, after[1])

    async def _follow(self, part: _Part) -> None:
        while part.due:
            part.due, part.since = False, clock.now()
            try:
                part.report = await self._pass(part)
            except SundogError as error:
                part.report = Report(failed=(f"host {part.host.name}: {error.message}",))
            except Exception as error:  # noqa: BLE001 - the root of a task: one host's trouble is no other's
                _LOG.error("the networks of host %s are not as they are to be", part.host.name, exc_info=error)
                part.report = Report(failed=(f"host {part.host.name}: {type(error).__name__}: {error}",))
            finally:
                part.since = None
                part.moved.set()

    async def _pass(self, part: _Part) -> Report:
        """What closes comes first, then tunnels, then what only opens. The host has others' turns between any two."""
        host = part.host
        if host.state is not HostState.UP:
            part.joined.clear()
            return Report((f"host {host.name} is {host.state}; its filters and tunnels are as they were",))
        async with host.networks:
            filters = await host.call("list filters", _have_filters)
            part.told = {port: told for port, told in part.told.items() if port in filters}
            part.owed = {port: ends for port, ends in part.owed.items() if port in filters}
        for port in filters:
            if port in self._ports and port not in part.told:
                part.owed[port] = frozenset()  # whatever it is that the host has
        failed = await self._pay(part, closing=True)
        for port in filters:
            async with host.networks:
                if port not in self._ports:
                    part.told.pop(port, None)
                    await host.call("remove filter", partial(_remove_filter, host, filter_name(port)))
        async with host.networks:
            bridges = await host.call("list networks", _have_bridges)
            here = [self._networks[each] for each in bridges if each in self._networks]
            left_out = await self._join(host, here)
            part.joined = {each.id for each in here}
        failed += await self._pay(part)
        if part.told:
            left_out += await self._unfiltered(host)
        return Report(tuple(left_out), tuple(failed))

    async def _pay(self, part: _Part, *, closing: bool = False) -> list[str]:
        """Tell a host what it is owed, or only what closes something; what it refused, in sentences."""
        failed, due = [], clock.now() + CALM_S
        while (port := part.next(closing=closing)) is not None:
            expecting = part.host.arriving or clock.now() < part.changed + SETTLE_S
            if part.owed[port] is None and expecting and clock.now() < due:
                await aio.sleep(_LOOK_S)
                continue
            try:
                async with part.host.networks:
                    if port in part.owed:
                        await self._tell(part, port)
            except (HostDown, OutcomeUnknown):
                raise
            except SundogError as error:
                part.owed.pop(port, None)  # until everything is said again
                failed.append(f"host {part.host.name}: {error.message}")
        return failed

    async def _tell(self, part: _Part, port: str) -> None:
        """Have the filter of a port on a host as it is to be now. ``host.networks`` is held."""
        found = self._ports.get(port)
        if found is None:
            part.owed.pop(port, None)
            return
        wanted, made = found[1], self._filter(found[1])
        before = part.told.pop(port, None)  # who was told last is told last again
        if before is None or before[1] != made.xml:
            if before is not None:
                part.told[port] = before[0], ""
            await part.host.call("filter", partial(_define, part.host, made))
            part.told.pop(port, None)
        part.told[port] = wanted, made.xml
        part.owed.pop(port, None)
        self._owe(part, port)
        part.moved.set()

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
        networks = {network.id: network for network, _ in (self._ports[port] for port in ports)}
        for network in networks.values():
            await host.call("network", partial(_have_network, host, network))
        part = self._part(host)
        if fresh := [network for network in networks.values() if network.id not in part.joined]:
            await self._join(host, fresh)
            part.joined.update(network.id for network in fresh)
        for port in ports:
            part.told.pop(port, None)  # what it was told before it may have lost
            await self._tell(part, port)

    async def catch_up(self, host: Link, ports: Sequence[str]) -> None:
        """Have the filters of ports that are on a host as they are to be now, before a guest sends there again."""
        part = self._part(host)
        async with host.networks:
            for port in ports:
                if port in part.owed or port not in part.told:
                    await self._tell(part, port)

    def _part(self, host: Link) -> _Part:
        return self._parts.setdefault(host.number, _Part(host))

    def left(self, host: Link, networks: Iterable[str]) -> None:
        """These networks of libvirt's are not on a host any more, and nothing that they were joined by is of use."""
        self._part(host).joined.difference_update(_network_of(name) for name in networks)

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


def _have_filters(connection: Connection) -> dict[str, None]:
    """The ports that have filters, in order."""
    return {port: None for each in connection.listAllNWFilters(0) if (port := port_of(each.name())) is not None}


def _have_bridges(connection: Connection) -> list[str]:
    """The networks that have bridges."""
    names = [each.name() for each in connection.listAllNetworks(0) if each.isActive()]
    return [_network_of(name) for name in names if name.startswith(network_name(""))]


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
