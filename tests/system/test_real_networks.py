"""Real guests on real wires: addresses, rules, spoofing, metadata, floating IPs, between two hosts."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import shutil
import socket
import subprocess
import sys
import termios
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from sundog.backends.contract import PortSpec, ServerSpec
from sundog.backends.libvirt import network_links as links
from sundog.backends.libvirt.driver import LibvirtDriver, connected
from sundog.backends.libvirt.link import HostSpec
from sundog.backends.libvirt.network import LibvirtNetworks, networks_over
from sundog.backends.libvirt.network_metadata import Caller, Doors, Reply
from sundog.backends.libvirt.network_node import NetworkNode, NodeSpec
from sundog.backends.networks import (
    Address,
    Floating,
    Report,
    RouterLeg,
    Rule,
    WiredNetwork,
    WiredPort,
    WiredRouter,
    WiredSubnet,
    Wiring,
)
from sundog.errors import BackendFailed, OutcomeUnknown
from sundog.runtime.ids import Ids
from tests.bed.bed import Bed
from tests.bed.image import guest_image
from tests.bed.processes import first_process
from tests.real_hosts import SETTINGS, File, guest_reference, wait_up

pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

pytestmark = [
    pytest.mark.libvirt,
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(map(shutil.which, ("dnsmasq", "nft", "ip"))), reason="needs dnsmasq-base, nftables and iproute2"
    ),
]

EVERYBODY = (Rule("egress", 4),)
LETS_PING = Rule("ingress", 4, 1)
LETS_SSH = Rule("ingress", 4, 6, 22, 22)
SPOOFED_IP, SPOOFED_MAC = "10.5.0.99", "02:66:66:66:66:66"


@dataclass
class Scene:
    """A network with a guest on each of two hosts, behind a router with a floating IP for the first."""

    bed: Bed
    driver: LibvirtDriver
    networks: LibvirtNetworks
    wiring: Wiring
    namespace: str
    scripts: dict[str, str]
    asked: list[tuple[str, Caller]]

    @property
    def network(self) -> WiredNetwork:
        return self.wiring.networks[0]

    async def rules(self, port: WiredPort, *rules: Rule, secured: bool = True) -> None:
        """Give a port other rules."""
        ports = [replace(p, rules=rules, secured=secured) if p.id == port.id else p for p in self.network.ports]
        network = replace(self.network, ports=tuple(ports))
        self.wiring = replace(self.wiring, networks=(network, *self.wiring.networks[1:]))
        await self.networks.apply(self.wiring, deadline=60)
        assert (await self.networks.done(deadline=60)).failed == ()

    async def boot(self, host: str, port: WiredPort, script: str) -> ServerSpec:
        """A guest with a port, which runs a script that it has from the metadata service."""
        self.scripts[port.server_id] = f"#!/bin/sh\n{script}"
        plug = PortSpec(port.id, self.network.id, port.mac, tuple(a.ip for a in port.addresses), self.network.mtu)
        spec = ServerSpec(port.server_id, 1, "guest", port.project_id, 1, 96, image=guest_reference(), ports=(plug,))
        await self.driver.spawn(host, spec, deadline=60)
        return spec

    async def says(self, host: str, spec: ServerSpec, *words: str, seconds: float = 90.0) -> bytes:
        """What a guest said, once it said all this."""
        log = b""
        try:
            async with asyncio.timeout(seconds):
                while not all(word.encode() in log for word in words):
                    await asyncio.sleep(0.3)
                    log = await self.driver.console_log(host, spec.key, deadline=30)
        except TimeoutError:
            pytest.fail(f"the guest did not say {words}: {log[-3000:].decode(errors='replace')}")
        return log


def make_wiring(bed: Bed) -> Wiring:
    ids = Ids(np.random.default_rng())
    net, subnet, project = str(ids.uuid()), str(ids.uuid()), str(ids.uuid())
    ports = tuple(
        WiredPort(
            str(ids.uuid()), f"fa:16:3e:0a:0b:{number:02x}", (Address(subnet, f"10.5.0.{number}"),), str(ids.uuid()),
            project, rules=rules,
        )
        for number, rules in ((11, (*EVERYBODY, LETS_SSH)), (12, (*EVERYBODY, LETS_PING)))
    )  # fmt: skip
    tenant = WiredNetwork(
        net, segment=7000 + bed.layout.number, subnets=(WiredSubnet(subnet, "10.5.0.0/24", "10.5.0.1"),), ports=ports
    )
    public = WiredNetwork(str(ids.uuid()), "flat", "public", mtu=1500, external=True)
    outside = bed.layout.gateway.rpartition(".")[0]
    router = WiredRouter(
        str(ids.uuid()),
        legs=(RouterLeg(str(ids.uuid()), net, "fa:16:3e:0a:01:01", ("10.5.0.1/24",)),),
        outside=RouterLeg(str(ids.uuid()), public.id, "fa:16:3e:0a:01:02", (f"{outside}.200/24",)),
        next_hop=bed.layout.gateway,
        floating=(Floating(f"{outside}.201", "10.5.0.11"),),
    )
    return Wiring((tenant, public), (router,))


@asynccontextmanager
async def wired(bed: Bed, folder: Path) -> AsyncIterator[Scene]:
    specs = [
        HostSpec(
            each.name, each.tcp, uuid=each.uuid, virt_type="qemu", address=each.address, filtered=True, wire="eth1",
            shell=("nsenter", "-t", str(first_process(each.folder)), "-n", "-m", "--"),
        )
        for each in bed.hosts()
    ]  # fmt: skip
    scripts: dict[str, str] = {}
    asked: list[tuple[str, Caller]] = []

    async def ask(path: str, caller: Caller) -> Reply:
        asked.append((path, caller))
        if path == "/openstack/latest/meta_data.json":
            return Reply(200, json.dumps({"uuid": caller.server_id, "hostname": "wired"}).encode(), "application/json")
        if path == "/openstack/latest/user_data":
            return Reply(200, scripts[caller.server_id].encode())
        return Reply(404)

    doors = Doors(ask)
    spaces = links.Spaces(f"sdtest{bed.layout.number}")
    public, wire = bed.layout.bridges
    node = NetworkNode(NodeSpec(wire, folder / "dnsmasq", {"public": public}, spaces), doors)
    made = connected(specs, images=File(guest_image().disk), folder=folder / "images", settings=SETTINGS)
    async with made as driver, networks_over(lambda: driver.links, node) as networks:
        await wait_up(driver)
        wiring = make_wiring(bed)
        scene = Scene(bed, driver, networks, wiring, spaces.network(wiring.networks[0].id), scripts, asked)
        try:
            await networks.apply(wiring, deadline=60)
            assert await networks.done(deadline=60) == Report()
            driver.plug_into(networks)
            yield scene
        finally:
            try:
                await emptied(driver)
                await networks.apply(Wiring(), deadline=60)
                await networks.done(deadline=60)
            finally:
                doors.close_all()


async def emptied(driver: LibvirtDriver) -> None:
    """Destroy all guests; a machine that is busy otherwise may need more than one try to kill one."""
    for left in range(4, -1, -1):
        try:
            for link in driver.links:
                for copy in await driver.list_servers(link.uuid, deadline=60):
                    await driver.destroy(link.uuid, copy.key, deadline=60)
        except OutcomeUnknown:
            if not left:
                raise
        else:
            return


def play(bed: Bed, folder: Path, act: Callable[[Scene], Awaitable[None]]) -> None:
    async def main() -> None:
        async with wired(bed, folder) as scene:
            await act(scene)

    asyncio.run(main())


def banner(address: str) -> bytes:
    """What answers on port 22; empty if nobody does."""
    with contextlib.suppress(OSError), socket.create_connection((address, 22), timeout=2) as talk:
        return talk.recv(64)
    return b""


def unheard(line: socket.socket) -> int:
    """How many bytes were sent that the other end did not acknowledge."""
    return int.from_bytes(fcntl.ioctl(line, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def is_open(line: socket.socket) -> bool:
    """Whether neither end has closed a connection."""
    return line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\x01"


@asynccontextmanager
async def talking(address: str) -> AsyncIterator[socket.socket]:
    """A connection with what answers on port 22, which hears us."""
    with await asyncio.to_thread(socket.create_connection, (address, 22), 20.0) as line:
        line.sendall(b"SSH-2.0-wired\r\n")
        async with asyncio.timeout(20):
            while unheard(line):
                await asyncio.sleep(0.1)
        yield line


async def is_cut(line: socket.socket) -> None:
    """Nobody hears what we say, and nobody closed the connection."""
    line.sendall(bytes(64))
    await asyncio.sleep(3)
    assert (unheard(line), is_open(line)) == (64, True)


TRIES = """
say() { echo "wired: $*" >/dev/console; }
try() { if "$@" >/dev/null 2>&1; then echo yes; else echo no; fi; }
"""


def test_two_guests_on_two_hosts_reach_each_other_as_the_rules_say(bed: Bed, tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        a, b = (link.uuid for link in scene.driver.links)
        one, two = scene.network.ports
        asks = "while :; do say ping-$(try ping -c 1 -W 1 {0}) ssh-$(try nc -w 1 {0} 22 </dev/null); sleep 1; done &"
        first = await scene.boot(a, one, TRIES + asks.format("10.5.0.12"))
        second = await scene.boot(b, two, TRIES + asks.format("10.5.0.11"))
        log = await scene.says(a, first, "wired: ping-yes ssh-no")
        assert b"lease eth0 10.5.0.11" in log
        assert {caller.server_id for _, caller in scene.asked} == {one.server_id, two.server_id}
        log = await scene.says(b, second, "wired: ping-no ssh-yes")
        assert b"lease eth0 10.5.0.12" in log
        assert b"ping-yes" not in log
        # Rules that change hold for guests that run.
        await scene.rules(one, *EVERYBODY, LETS_PING)
        await scene.says(b, second, "wired: ping-yes ssh-no")
        # A guest that goes leaves its address to the next, and those who serve it alive.
        await scene.driver.destroy(b, second.key, deadline=60)
        heir = replace(two, id=str(uuid.uuid4()), mac="fa:16:3e:0a:0b:22", server_id=str(uuid.uuid4()))
        for ports in ((one,), (one, heir)):
            scene.wiring = replace(
                scene.wiring, networks=(replace(scene.network, ports=ports), *scene.wiring.networks[1:])
            )
            await scene.networks.apply(scene.wiring, deadline=60)
            await asyncio.sleep(0.2)  # it would take a moment to die of it
            assert len(serving(scene.namespace)) == 1
        third = await scene.boot(b, heir, "true")
        await scene.says(b, third, "lease eth0 10.5.0.12")

    play(bed, tmp_path, act)


def serving(namespace: str) -> list[str]:
    """The processes in a namespace that serve a network."""
    return subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=True).stdout.split()


SNIFFER = """
import socket, struct, sys
card = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
card.bind(("net", 0))
print("ready", flush=True)
seen = set()
while True:
    frame, about = card.recvfrom(2048)
    if about[2] == 4: continue  # what this namespace sends itself
    kind = struct.unpack("!H", frame[12:14])[0]
    source = frame[28:32] if kind == 0x806 else frame[26:30] if kind == 0x800 else b""
    line = (frame[6:12].hex(":"), hex(kind), ".".join(map(str, source)))
    if line not in seen:
        seen.add(line)
        print(*line, flush=True)
"""


@contextmanager
def sniffed(namespace: str, into: Path) -> Iterator[Callable[[], list[list[str]]]]:
    """What reaches a network's namespace, as rows of MAC, kind and address."""
    command = ["ip", "netns", "exec", namespace, sys.executable, "-c", SNIFFER]
    with into.open("w") as file, subprocess.Popen(command, stdout=file) as process:
        try:
            yield lambda: [line.split() for line in into.read_text().splitlines() if line != "ready"]
        finally:
            process.kill()


LIES = """
card=$(ls /sys/class/net | grep '^e')
ip address add 10.5.0.99/32 dev $card
own=$(cat /sys/class/net/$card/address)
while :; do
    arping -c 1 -w 1 -I $card -s 10.5.0.99 10.5.0.77
    ping -c 1 -W 1 -I 10.5.0.99 169.254.169.254
    ping -c 1 -W 1 169.254.169.254
    ip link set $card down; ip link set $card address 02:66:66:66:66:66; ip link set $card up
    arping -c 1 -w 1 -I $card 10.5.0.77
    ip link set $card down; ip link set $card address $own; ip link set $card up
    ip route replace 169.254.169.254/32 dev $card
    say lied
done >/dev/null 2>&1 &
"""


def test_ossa_2021_001_not_one_frame_with_a_spoofed_address_leaves_a_guest(bed: Bed, tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        host = scene.driver.links[0].uuid
        one, two = scene.network.ports
        liar = replace(two, mac="fa:16:3e:66:66:66")  # its card has another MAC than its port, from the first frame on
        with sniffed(scene.namespace, tmp_path / "frames") as frames:
            await scene.boot(host, liar, "true")
            honest = await scene.boot(host, one, TRIES + LIES)
            await scene.says(host, honest, "wired: lied")
            await asyncio.sleep(8)  # two or three rounds
            seen = frames()
            assert [one.mac, "0x800", "10.5.0.11"] in seen
            assert [one.mac, "0x800", "0.0.0.0"] in seen  # it asked for its address
            told = {row[0] for row in seen}
            assert SPOOFED_MAC not in told
            assert liar.mac not in told
            assert not [row for row in seen if row[2:] == [SPOOFED_IP]]
            # The same guests are heard once nobody holds them back: so it was the filter.
            await scene.rules(one, secured=False)
            await scene.rules(two, secured=False)
            async with asyncio.timeout(30):
                while True:
                    seen = frames()
                    macs, ips = {row[0] for row in seen}, {row[2] for row in seen if len(row) > 2}
                    if SPOOFED_MAC in macs and SPOOFED_IP in ips:
                        break
                    await asyncio.sleep(0.5)

    play(bed, tmp_path, act)


def test_a_port_that_nobody_knows_is_not_bound(bed: Bed, tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        with pytest.raises(BackendFailed, match="apply the wiring first"):
            await scene.networks.bind(scene.driver.links[0].uuid, ["a-port"], deadline=5)

    play(bed, tmp_path, act)


class Gate:
    """Something outside that guests call; it writes down from which addresses."""

    def __init__(self) -> None:
        self.callers: set[str] = set()

    async def open(self, address: str) -> int:
        def called(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.callers.add(writer.get_extra_info("peername")[0])
            writer.close()

        self.server = await asyncio.start_server(called, address, 0)
        port: int = self.server.sockets[0].getsockname()[1]
        return port


def test_a_floating_ip_reaches_its_guest_and_others_go_out_by_the_router(bed: Bed, tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        a, b = (link.uuid for link in scene.driver.links)
        one, two = scene.network.ports
        router = scene.wiring.routers[0]
        assert router.outside is not None
        floating, own = router.floating[0].address, router.outside.addresses[0].partition("/")[0]
        gate = Gate()
        port = await gate.open(bed.layout.gateway)
        calls = f"while :; do nc -w 1 {bed.layout.gateway} {port} </dev/null; sleep 1; done >/dev/null 2>&1 &\n"
        first = await scene.boot(a, one, calls)
        second = await scene.boot(b, two, calls)
        await scene.says(a, first, "guest: ready")
        await scene.says(b, second, "guest: ready")
        assert (await asyncio.to_thread(banner, floating)).startswith(b"SSH-")
        async with asyncio.timeout(20):
            while gate.callers != {floating, own}:
                await asyncio.sleep(0.2)
        # A rule that is taken away, and a floating IP that is, hold at once: for connections that are there as well.
        async with talking(floating) as line:
            await scene.rules(one, *EVERYBODY)
            assert await asyncio.to_thread(banner, floating) == b""
            await is_cut(line)
        await scene.rules(one, *EVERYBODY, LETS_SSH)
        assert await asyncio.to_thread(banner, floating)
        async with talking(floating) as line:
            scene.wiring = replace(scene.wiring, routers=(replace(router, floating=()),))
            await scene.networks.apply(scene.wiring, deadline=60)
            await is_cut(line)
        assert await asyncio.to_thread(banner, floating) == b""
        gate.server.close()

    play(bed, tmp_path, act)


def test_no_guest_runs_without_its_filter_and_the_filter_goes_with_it(bed: Bed, tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        a, b = (link.uuid for link in scene.driver.links)
        one, two = scene.network.ports
        plug = PortSpec(two.id, scene.network.id, two.mac, ("10.5.0.12",), scene.network.mtu)
        bare = ServerSpec(two.server_id, 1, "bare", two.project_id, 1, 96, image=guest_reference(), ports=(plug,))
        await scene.networks.apply(Wiring(), deadline=60)
        await scene.networks.done(deadline=60)
        with pytest.raises(BackendFailed, match="apply the wiring first"):
            await scene.driver.spawn(a, bare, deadline=60)
        await scene.networks.apply(scene.wiring, deadline=60)
        assert await scene.driver.list_servers(a, deadline=30) == ()

        asks = "while :; do say ping-$(try ping -c 1 -W 1 {0}) ssh-$(try nc -w 1 {0} 22 </dev/null); sleep 1; done &"
        first = await scene.boot(a, one, "true")
        second = await scene.boot(b, two, TRIES + asks.format("10.5.0.11"))
        await scene.says(b, second, "wired: ping-no ssh-yes")
        moved = replace(first, generation=2)
        await scene.driver.live_migrate(a, first.key, b, generation=2, deadline=120)
        async with asyncio.timeout(60):
            before = (await scene.driver.console_log(b, second.key, deadline=30)).count(b"ssh-yes")
            while (await scene.driver.console_log(b, second.key, deadline=30)).count(b"ssh-yes") < before + 3:
                await asyncio.sleep(0.5)
        assert b"ping-yes" not in await scene.driver.console_log(b, second.key, deadline=30)
        await scene.rules(one, *EVERYBODY, LETS_PING)  # what changes now holds where it runs now
        await scene.says(b, second, "wired: ping-yes ssh-no")
        await scene.driver.destroy(b, moved.key, deadline=60)

    play(bed, tmp_path, act)
