"""The network node: the machine whose namespaces serve networks and are the routers. It is the control plane's own.

Everything here is found again by its name, so a control plane that comes back takes over what runs: dnsmasq is a
daemon, rules and links are the kernel's. Only sockets for metadata end with it, and are made anew.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from sundog.backends.libvirt import network_dnsmasq as dnsmasq
from sundog.backends.libvirt import network_links as links
from sundog.backends.libvirt.network_metadata import Doors
from sundog.backends.libvirt.network_nft import OUTSIDE, ruleset
from sundog.backends.libvirt.network_shell import Commands, Machine
from sundog.backends.libvirt.records import bridge_name
from sundog.backends.networks import Report, RouterLeg, WiredNetwork, WiredRouter, Wiring
from sundog.errors import BackendFailed, SundogError
from sundog.runtime import aio
from sundog.units import Seconds


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """The network node. ``wire`` is its card, or bridge, on the segment that hosts share; empty for the one to them.

    ``physical`` are bridges by the names of physical networks, for external ones. ``folder`` is for dnsmasq's files.
    """

    wire: str
    folder: Path
    physical: Mapping[str, str] = field(default_factory=dict)
    spaces: links.Spaces = field(default_factory=links.Spaces)


_END_S: Final[Seconds] = 2.0
"""How long a process that was killed may take to end."""

_TOOLS: Final = {"ip": "iproute2", "dnsmasq": "dnsmasq-base", "nft": "nftables", "sysctl": "procps"}
"""Commands that it needs, and Debian's packages that they are in."""


def why_no_node() -> str:
    """Why this machine cannot be the network node, and what to do; empty if it can."""
    missing = [package for tool, package in _TOOLS.items() if shutil.which(tool) is None]
    if os.geteuid() != 0:
        return "only root can make namespaces; serve the cloud as root"
    return f"it lacks some commands; apt install {' '.join(missing)}" if missing else ""


class NetworkNode:
    """Makes the namespaces of networks and routers as a wiring says."""

    def __init__(self, spec: NodeSpec, doors: Doors | None = None, machine: Commands | None = None) -> None:
        self._spec, self._doors = spec, doors
        self._machine = machine or Machine("the network node")
        self._rules: dict[str, str] = {}

    async def apply(self, wiring: Wiring, hosts: Sequence[str] = ()) -> Report:
        """Make everything so. ``hosts`` are addresses of those that are other machines.

        A network or router that cannot be made is in the report, and holds up no other.
        """
        try:
            return await self._apply(wiring, hosts)
        except SundogError as error:
            return Report(failed=(f"the network node: {error.message}",))

    async def _apply(self, wiring: Wiring, hosts: Sequence[str]) -> Report:
        spaces = self._spec.spaces
        text = await self._machine.run("ip", "-json", "link", "show")
        present = links.read_names(text)
        existing = links.read_namespaces(await self._machine.run("ip", "-json", "netns", "list"))
        wire = self._spec.wire or await self._way(hosts)
        carries = links.read_mtu(text, wire)
        left_out, failed = [], []
        if wire and not carries:
            left_out.append(f"the network node has no card {wire}, so networks do not leave it")
            wire = ""

        networks = {each.id: each for each in wiring.networks}
        inner = [each for each in wiring.networks if not each.external]
        served = [each for each in inner if not links.why_not(each)]
        left_out += [why for each in inner if (why := links.why_not(each))]
        mtus = {each.id: mtu_on(each, carries) for each in wiring.networks}
        wanted = {spaces.network(each.id) for each in served} | {spaces.router(each.id) for each in wiring.routers}
        failed += await self._remove(set(spaces.ours(existing)) - wanted, present)
        for name in sorted(wanted - existing):
            self._forget(name)
            await self._machine.run("ip", "netns", "add", name)
        for each in served:
            try:
                await self._serve(each, present, mtus[each.id], wire)
            except (SundogError, OSError) as error:
                failed.append(f"network {each.id}: {error}")
            for port, option in dnsmasq.files(each).left_out:
                left_out.append(f"DHCP option {option.name!r} of port {port} cannot be told to it")
        reach = {each.id for each in served}
        for router in wiring.routers:
            try:
                left_out += await self._route(router, networks, reach, present, mtus)
            except SundogError as error:
                failed.append(f"router {router.id}: {error.message}")
        return Report(tuple(left_out), tuple(failed))

    async def _way(self, hosts: Sequence[str]) -> str:
        """The card that leads to hosts; empty if none does."""
        for address in hosts:
            try:
                text = await self._machine.run("ip", "-json", "route", "get", address)
            except BackendFailed:
                continue
            if card := links.read_way(text):
                return card
        return ""

    def _forget(self, namespace: str) -> None:
        """A namespace is gone, or going: what is known of it was another's."""
        self._rules.pop(namespace, None)
        if self._doors is not None:
            self._doors.close(namespace)

    # -- networks

    async def _serve(self, network: WiredNetwork, present: Iterable[str], mtu: int, wire: str) -> None:
        """DHCP, names and metadata of a network."""
        namespace, bridge = self._spec.spaces.network(network.id), bridge_name(network.id)
        cable = links.serving_cable(network.id)
        await self._machine.ip(
            [
                *links.bridging(network, present, mtu),
                *(links.joining(network, wire, present, mtu) if wire else ()),
                *links.plugging(cable, bridge, namespace, links.INSIDE, present, mtu),
            ]
        )
        await self._settle(namespace, links.serving(network, mtu))
        await self._tell(network, mtu)
        if self._doors is not None:
            await self._doors.open(namespace, network)

    async def _end_all_in(self, namespace: str) -> None:
        """End what runs in a namespace, also what the cloud's former folder began, of which this one has no file."""
        ending = {int(each) for each in (await self._machine.run("ip", "netns", "pids", namespace)).split()}
        for each in ending:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            async with aio.timeout(_END_S):
                while not all(map(_has_ended, ending)):
                    await aio.sleep(0.01)

    def _folder(self, network: str) -> Path:
        return self._spec.folder / network

    def _command(self, network: WiredNetwork) -> tuple[str, ...]:
        return dnsmasq.command(network, str(self._folder(network.id)))

    async def _tell(self, network: WiredNetwork, mtu: int) -> None:
        """Write what dnsmasq reads, and have it read what has changed, or start it anew."""
        folder, namespace = self._folder(network.id), self._spec.spaces.network(network.id)
        folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        made = dnsmasq.files(network, mtu)
        want = {"hosts": made.hosts, "names": made.names, "options": made.options}
        had = {path.name: path.read_text() for path in map(folder.joinpath, want) if path.exists()}
        changed, running = had != want, self._running(network.id)
        anew = changed and dnsmasq.must_start_anew(had.get("hosts", ""), made.hosts)
        if anew or running is None or running[1] != self._command(network):
            await self._end_all_in(namespace)  # first: if we are killed meanwhile, who comes after us sees none running
            running = None
        for name, text in want.items():
            if had.get(name) != text:
                (folder / name).write_text(text)
        if running is None:
            await self._machine.run("ip", "netns", "exec", namespace, *self._command(network))
        elif changed:
            os.kill(running[0], signal.SIGHUP)

    def _running(self, network: str) -> tuple[int, tuple[str, ...]] | None:
        """The dnsmasq of a network and how it was started; a number that is somebody else's by now is not it."""
        folder = self._folder(network)
        try:
            pid = int((folder / "pid").read_text())
        except (OSError, ValueError):
            return None
        words = _words(pid)
        return (pid, words) if f"--pid-file={folder}/pid" in words else None

    # -- routers

    async def _route(
        self, router: WiredRouter, networks: Mapping[str, WiredNetwork], reach: set[str], present: Iterable[str],
        mtus: Mapping[str, int],
    ) -> list[str]:  # fmt: skip
        namespace = self._spec.spaces.router(router.id)
        left_out, lines, cards = [], [], []
        for leg in [*router.legs, *([router.outside] if router.outside is not None else [])]:
            bridge, why = self._bridge(networks.get(leg.network_id), reach, present)
            if why:
                left_out.append(f"router {router.id} does not reach network {leg.network_id}: {why}")
                continue
            cards.append(leg)
            inner = OUTSIDE if leg == router.outside else links.leg_name(leg)
            mtu = mtus.get(leg.network_id, 1500)
            lines += links.plugging(links.leg_cable(leg), bridge, namespace, inner, present, mtu)
        await self._machine.ip(lines)
        await self._machine.run("ip", "netns", "exec", namespace, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        shown = _only(router, cards)
        await self._settle(namespace, links.routing(shown, mtus))
        text = ruleset(shown)
        if self._rules.get(namespace) != text:
            await self._machine.run("ip", "netns", "exec", namespace, "nft", "-f", "-", stdin=text)
            self._rules[namespace] = text
        return left_out

    def _bridge(self, network: WiredNetwork | None, reach: set[str], present: Iterable[str]) -> tuple[str, str]:
        """The bridge of a network on this machine; or else why it has none."""
        none = "the network node has no bridge for it"
        if network is None:
            return "", none
        if network.physical is None:
            return (bridge_name(network.id), "") if network.id in reach else ("", none)
        bridge = self._spec.physical.get(network.physical)
        if bridge is None:
            return "", f"{none}; say sundog network-node --external {network.physical}=BRIDGE"
        if bridge not in present:
            return "", f"the network node has no bridge {bridge}, which physical network {network.physical} is to be on"
        return bridge, ""

    # -- what all have

    async def _settle(self, namespace: str, want: links.Inside) -> None:
        addresses = await self._machine.run("ip", "-n", namespace, "-json", "address", "show")
        routes = await self._machine.run("ip", "-n", namespace, "-json", "route", "show")
        await self._machine.ip(links.settling(want, links.read_inside(addresses, routes)), namespace=namespace)

    async def _remove(self, namespaces: Iterable[str], present: Iterable[str]) -> list[str]:
        """Remove what nobody wants any more; what could not be, in sentences."""
        failed = []
        for name in sorted(namespaces):
            self._forget(name)
            try:
                await self._remove_one(name, present)
            except (SundogError, OSError) as error:
                failed.append(f"namespace {name}: {error}")
        return failed

    async def _remove_one(self, name: str, present: Iterable[str]) -> None:
        await self._end_all_in(name)
        network = self._spec.spaces.network_of(name)
        if network is not None:
            folder = self._folder(network)
            for path in sorted(folder.glob("*")):
                path.unlink()
            if folder.is_dir():
                folder.rmdir()
            await self._machine.ip(links.leaving(network, present))
        await self._machine.run("ip", "netns", "delete", name)


def mtu_on(network: WiredNetwork, wire: int) -> int:
    """What a network's packets may be on a wire, by the MTU of that; 0 for a wire whose MTU nobody knows."""
    tunnelled = not links.why_not(network)
    return min(network.mtu, wire - links.OVERHEAD) if tunnelled and wire else network.mtu


def _only(router: WiredRouter, cards: Iterable[RouterLeg]) -> WiredRouter:
    """The router with those of its cards that are there."""
    there = list(cards)
    return replace(
        router,
        legs=tuple(leg for leg in router.legs if leg in there),
        outside=router.outside if router.outside in there else None,
    )


def _words(pid: int) -> tuple[str, ...]:
    """How a process was started; nothing if it has ended."""
    try:
        return tuple(Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1])
    except OSError:
        return ()


def _has_ended(pid: int) -> bool:
    """Whether a process has given back all that it had. Its words are gone first, its ports after them."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
