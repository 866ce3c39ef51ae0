"""``check_driver`` on real hosts: the driver of libvirt keeps the contract, in order and in trouble.

Bare, and with all that a cloud puts around it: a command that switches hosts off, and networks with their filters,
tunnels and DHCP. What of the contract that has no part in is left to ``proof`` there.
"""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sundog.backends.conformance import CLAUSES, check_driver
from sundog.backends.contract import ComputeDriver, PortSpec, ServerKey, ServerSpec
from sundog.backends.libvirt import network_links as links
from sundog.backends.libvirt.driver import LibvirtDriver
from sundog.backends.libvirt.network import LibvirtNetworks, networks_over
from sundog.backends.libvirt.network_node import NetworkNode, NodeSpec
from sundog.backends.networks import Address, WiredNetwork, WiredPort, WiredSubnet, Wiring
from sundog.runtime.ids import Ids
from tests.bed.bed import Bed
from tests.real_hosts import SETTINGS, BedTrouble, guest_reference, play, power_switch

pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

pytestmark = [pytest.mark.libvirt, pytest.mark.slow]

AROUND = ("resize", "live-migration", "ports", "lost-reply", "host-down")
"""The clauses in which ports come and go, or hosts are switched off."""


def names(listing: str, connection: Any) -> list[str]:
    """Of all that a host lists of one kind."""
    return [each.name() for each in getattr(connection, listing)(0)]


async def check(driver: ComputeDriver, trouble: BedTrouble, clause: str) -> None:
    found = await check_driver(
        driver, image=guest_reference(), ids=Ids(np.random.default_rng()), deadline=60.0, patience=60.0,
        memory_mib=96, only=[clause], trouble=trouble,
    )  # fmt: skip
    if found.skipped:
        pytest.skip(found.skipped[0])
    assert found.clauses == (clause,)
    assert not any(wire.tricks for wire in trouble.wires.values()), "a trick was never played"


@pytest.mark.parametrize("clause", CLAUSES)
def test_real_hosts_keep_the_contract(bed: Bed, tmp_path_factory: pytest.TempPathFactory, clause: str) -> None:
    async def scene(driver: LibvirtDriver, trouble: BedTrouble) -> None:
        await check(driver, trouble, clause)

    play(bed, tmp_path_factory.getbasetemp() / "libvirt-images", scene)


class Wired:
    """A driver as the control plane asks it: every server has a port, which the wiring has before any host does."""

    def __init__(self, driver: LibvirtDriver, networks: LibvirtNetworks) -> None:
        self.driver, self.networks = driver, networks
        self.ids = Ids(np.random.default_rng())
        self.numbers = itertools.count(10)
        self.own: dict[str, PortSpec] = {}
        self.wired: dict[str, WiredNetwork] = {}
        self.home = (str(self.ids.uuid()), str(self.ids.uuid()))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.driver, name)

    async def _with_ports(self, spec: ServerSpec) -> ServerSpec:
        if not spec.ports and spec.uuid not in self.own:
            mac = f"fa:16:3e:00:cc:{next(self.numbers):02x}"
            self.own[spec.uuid] = PortSpec(str(self.ids.uuid()), self.home[0], mac, mtu=1400)
        ports = spec.ports or (self.own[spec.uuid],)
        for port in ports:
            await self._wire(port, spec.uuid)
        return replace(spec, ports=ports)

    async def _wire(self, port: PortSpec, server: str) -> None:
        number = next(self.numbers)
        network = self.wired.get(port.network_id) or WiredNetwork(
            port.network_id, segment=1 + int(self.ids.hex(5), 16), mtu=1400,
            subnets=(WiredSubnet(str(self.ids.uuid()), "192.0.2.0/24", "192.0.2.1"),),
        )  # fmt: skip
        if port.id not in [each.id for each in network.ports]:
            where = Address(network.subnets[0].id, f"192.0.2.{number}")
            new = WiredPort(port.id, port.mac_address, (where,), server_id=server, project_id="p")
            self.wired[network.id] = replace(network, ports=(*network.ports, new))
            await self.networks.apply(Wiring(tuple(self.wired.values())), deadline=60)
            report = await self.networks.done(deadline=60)
            assert report.failed == ()

    async def spawn(self, host: str, spec: ServerSpec, **options: Any) -> None:
        await self.driver.spawn(host, await self._with_ports(spec), **options)

    async def rebuild(self, host: str, spec: ServerSpec, **options: Any) -> None:
        await self.driver.rebuild(host, await self._with_ports(spec), **options)

    async def resize_begin(self, host: str, server: ServerKey, target: str, spec: ServerSpec, **options: Any) -> None:
        await self.driver.resize_begin(host, server, target, await self._with_ports(spec), **options)

    async def plug(self, host: str, server: ServerKey, port: PortSpec, **options: Any) -> None:
        await self._wire(port, server.uuid)
        await self.driver.plug(host, server, port, **options)


TOOLS = all(map(shutil.which, ("dnsmasq", "nft", "ip")))


@pytest.mark.skipif(not TOOLS, reason="needs dnsmasq-base, nftables and iproute2")
@pytest.mark.parametrize(
    "clause", [pytest.param(each, marks=[] if each in AROUND else [pytest.mark.proof]) for each in CLAUSES]
)
def test_real_hosts_with_networks_that_can_be_fenced_keep_the_contract(
    bed: Bed, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, clause: str
) -> None:
    spaces = links.Spaces(f"sdconf{bed.layout.number}")

    async def scene(driver: LibvirtDriver, trouble: BedTrouble) -> None:
        node = NetworkNode(NodeSpec(bed.layout.bridges[1], tmp_path / "dnsmasq", spaces=spaces))
        async with networks_over(lambda: driver.links, node) as networks:
            driver.plug_into(networks)
            around: Any = Wired(driver, networks)
            assert driver.capabilities.fence
            try:
                await check(around, trouble, clause)
            finally:
                await networks.apply(Wiring(), deadline=60)
                report = await networks.done(deadline=60)
        assert report.failed == ()
        for link in driver.links:
            for listing in ("listAllNWFilters", "listAllNetworks"):
                there = await link.call("test", partial(names, listing))
                assert [name for name in there if name.startswith("sundog-")] == []

    images = tmp_path_factory.getbasetemp() / "libvirt-images"
    settings = replace(SETTINGS, soft_s=5.0)  # a guest that has not booted does not hear that it is to stop
    play(bed, images, scene, settings=settings, fencer=power_switch(bed), wired=True)
