"""A bridge, a wire or a sysctl that is missing is named, and everything that does not need it is made all the same."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sundog.backends.contract import HostState
from sundog.backends.libvirt.link import HostSpec, Link
from sundog.backends.libvirt.network import LibvirtNetworks, networks_over
from sundog.backends.libvirt.network_node import NetworkNode, NodeSpec
from sundog.backends.libvirt.network_shell import LIMIT_S
from sundog.backends.libvirt.records import bridge_name
from sundog.backends.networks import WiredNetwork, Wiring
from sundog.errors import BackendFailed
from sundog.units import Seconds
from tests.unit.backends.libvirt.fake_libvirt import UUID, Host, Library, LibvirtError
from tests.unit.backends.libvirt.wiring import NETWORK, PUBLIC, ROUTER, TENANT, WEB

EXTERNAL = WiredNetwork(PUBLIC, "flat", "lan", mtu=1500, external=True)
WIRING = Wiring((TENANT, EXTERNAL), (ROUTER,))
SPACE = f"sundog-net-{NETWORK}"


class Commands:
    """A machine with these links, which remembers what it was told. A network's dnsmasq is nobody's."""

    def __init__(self, *links: str, namespaces: tuple[str, ...] = (), answers: dict[str, str] | None = None) -> None:
        self.links, self.namespaces = links, namespaces
        self.answers = answers or {}
        self.told: list[str] = []

    async def run(self, *words: str, stdin: str = "", limit: Seconds = LIMIT_S) -> str:
        line = " ".join(words)
        self.told.append(line)
        for beginning, answer in self.answers.items():
            if line.startswith(beginning):
                if not answer:
                    raise BackendFailed(f"{line}: it cannot be done")
                return answer
        if line == "ip -json netns list":
            return json.dumps([{"name": name} for name in self.namespaces])
        if line in ("ip -json link show", "ip -json address show"):
            return json.dumps([{"ifname": name, "mtu": 1500, "addr_info": []} for name in self.links])
        return "[]" if "-json" in words else ""

    async def ip(self, lines: list[str], *, namespace: str = "") -> None:
        self.told += lines


def told_by(node: NetworkNode) -> tuple[tuple[str, ...], tuple[str, ...]]:
    report = asyncio.run(node.apply(WIRING))
    return report.left_out, report.failed


# ------------------------------------------------------------------------------------------------- the network node


def test_a_node_with_its_wire_and_its_bridge_has_nothing_to_say(tmp_path: Path) -> None:
    machine = Commands("eth1", "br0")
    left_out, failed = told_by(NetworkNode(NodeSpec("eth1", tmp_path, {"lan": "br0"}), machine=machine))
    assert [line for line in left_out if "DHCP option" not in line] == []
    assert failed == ()
    assert any("type vxlan" in line and "dev eth1" in line for line in machine.told)


def test_a_node_without_its_wire_says_so_and_serves_networks_all_the_same(tmp_path: Path) -> None:
    machine = Commands("br0")
    left_out, failed = told_by(NetworkNode(NodeSpec("eth1", tmp_path, {"lan": "br0"}), machine=machine))
    assert "the network node has no card eth1, so networks do not leave it" in left_out
    assert failed == ()
    assert not any("vxlan" in line for line in machine.told)
    assert any("exec" in line and "dnsmasq" in line for line in machine.told)


@pytest.mark.parametrize(
    ("physical", "why"),
    [
        ({"lan": "br7"}, "the network node has no bridge br7, which physical network lan is to be on"),
        ({}, "the network node has no bridge for it; say sundog network-node --external lan=BRIDGE"),
    ],
)
def test_a_router_whose_outer_bridge_is_missing_is_made_without_it(
    tmp_path: Path, physical: dict[str, str], why: str
) -> None:
    machine = Commands("eth1", "br0")
    left_out, failed = told_by(NetworkNode(NodeSpec("eth1", tmp_path, physical), machine=machine))
    assert f"router {ROUTER.id} does not reach network {PUBLIC}: {why}" in left_out
    assert failed == ()
    assert any(f"master {bridge_name(NETWORK)}" in line for line in machine.told)
    assert not any("br7" in line for line in machine.told)


def test_a_network_that_goes_takes_what_runs_in_its_namespace_with_it_whoever_began_it(tmp_path: Path) -> None:
    """A restored cloud has no file of the dnsmasq that its former folder began."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as former:
        machine = Commands(
            "eth1", namespaces=(SPACE, "of-others"), answers={f"ip netns pids {SPACE}": f"{former.pid}\n"}
        )
        report = asyncio.run(NetworkNode(NodeSpec("eth1", tmp_path), machine=machine).apply(Wiring()))
        assert report.failed == ()
        assert former.wait(timeout=30) == -9
    assert machine.told[-1] == f"ip netns delete {SPACE}"


# ------------------------------------------------------------------------------------------------------- on a host


@asynccontextmanager
async def a_host(host: Host, machine: Commands | None, **facts: object) -> AsyncIterator[LibvirtNetworks]:
    spec = HostSpec("host-1", "qemu+tls://a/system", uuid=UUID, address="192.0.2.1", filtered=True)
    link = Link(0, replace(spec, **facts), Library(a=host), lambda _event: None)  # type: ignore[arg-type]
    other = Link(1, HostSpec("host-2", "qemu+tls://b/system"), Library(), lambda _event: None)
    task = asyncio.create_task(link.run())
    async with asyncio.timeout(30):
        while link.state is not HostState.UP:
            await asyncio.sleep(0.001)
    try:
        async with networks_over(lambda: [link, other], machines=lambda *_: machine) as networks:
            yield networks
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def play(
    act: Callable[[LibvirtNetworks], Awaitable[None]], host: Host, machine: Commands | None, **facts: object
) -> None:
    async def main() -> None:
        async with a_host(host, machine, **facts) as networks:
            await act(networks)

    asyncio.run(main())


async def sentences(networks: LibvirtNetworks) -> list[str]:
    """What a wiring that is applied once a port is bound says of the first host."""
    await networks.apply(WIRING, deadline=60)
    await networks.bind(UUID, [WEB.id], deadline=60)
    await networks.apply(WIRING, deadline=60)
    report = await networks.done(deadline=60)
    assert report.failed == ()
    return [line for line in report.left_out if "host host-1" in line]


@pytest.mark.parametrize(
    ("facts", "which"), [({"wire": "eth7"}, "no card eth7"), ({}, "no card with the address 192.0.2.1")]
)
def test_a_host_without_its_wire_says_so_and_has_its_filters(facts: dict[str, object], which: str) -> None:
    host = Host()

    async def act(networks: LibvirtNetworks) -> None:
        (line,) = await sentences(networks)
        assert line == f"host host-1 has {which}, so its networks end there; say with --wire which joins them"
        assert len(host.filters) == 1

    play(act, host, Commands("eth0", "lo"), **facts)


def test_a_host_on_which_no_command_can_be_run_says_so() -> None:
    async def act(networks: LibvirtNetworks) -> None:
        (line,) = await sentences(networks)
        assert "is not reached over SSH, so its networks end there; give its --shell" in line

    play(act, Host(), None)


def test_a_bridge_that_a_host_cannot_make_leaves_its_port_unbound() -> None:
    host = Host(refuses={"create": LibvirtError("Unable to create bridge sbr0: Operation not supported")})

    async def act(networks: LibvirtNetworks) -> None:
        await networks.apply(WIRING, deadline=60)
        with pytest.raises(BackendFailed, match="host-1 failed: Unable to create bridge"):
            await networks.bind(UUID, [WEB.id], deadline=60)
        assert host.filters == {}

    play(act, host, Commands("eth7"), wire="eth7")


@pytest.mark.parametrize(("told", "said"), [("1\n1\n", False), ("0\n1\n", True), ("1\n0\n", True), ("", False)])
@pytest.mark.parametrize("bridged", [False, True])
def test_a_host_that_does_not_look_into_bridges_says_so(told: str, said: bool, bridged: bool) -> None:
    machine = Commands("eth7", answers={"cat /proc/sys/net/bridge/bridge-nf-call-iptables": told})

    async def act(networks: LibvirtNetworks) -> None:
        lines = await sentences(networks)
        assert len([line for line in lines if "does not look into bridges" in line]) == said

    play(act, Host(), machine, wire="eth7", bridged=bridged)
