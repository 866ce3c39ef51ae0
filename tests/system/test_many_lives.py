"""Servers that come and go on a real host leave nothing behind, there or here."""

from __future__ import annotations

import asyncio
import gc
import threading
from pathlib import Path

import numpy as np
import pytest

from sundog.backends.contract import PortSpec, ServerSpec
from sundog.backends.libvirt.driver import LibvirtDriver
from sundog.backends.libvirt.link import Link
from sundog.runtime.ids import Ids
from tests.bed.bed import Bed
from tests.real_hosts import BedTrouble, guest_reference, play

pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

pytestmark = [pytest.mark.libvirt, pytest.mark.slow]

AT_ONCE = 5

# What a host has of servers, a word and a number a line. `run` holds what libvirtd and QEMU keep of guests that run.
COUNT = r"""
pid=$(cat /run/libvirtd.pid)
echo descriptors $(ls /proc/$pid/fd | wc -l)
echo taps $(ip -o link | grep -c ': tap')
echo bridges $(ip -o link | grep -c ': sbr')
echo namespaces $(readlink /proc/[0-9]*/ns/net /proc/[0-9]*/ns/mnt | sort -u | wc -l)
echo guests $(ls /proc/[0-9]*/exe -l 2>/dev/null | grep -c qemu-system)
echo run $(find /run/libvirt/qemu -name 'sundog-*' -o -path '*/domain-*' | wc -l)
echo definitions $(ls /etc/libvirt/qemu | grep -c '^sundog-')
echo files $(find /var/lib/libvirt/sundog -type f ! -name 'base-*' | wc -l)
echo folders $(find /var/lib/libvirt/qemu -type d | wc -l)
"""


async def on_the_host(bed: Bed, link: Link) -> dict[str, int]:
    """What is left of servers on the first host, as its kernel and its libvirt count it."""

    def ask(connection: object) -> dict[str, int]:
        pools = connection.listAllStoragePools(0)  # type: ignore[attr-defined]
        for pool in pools:
            pool.refresh(0)
        volumes = [volume.name() for pool in pools for volume in pool.listAllVolumes(0)]
        return {
            "domains": len(connection.listAllDomains(0)),  # type: ignore[attr-defined]
            "networks": len(connection.listAllNetworks(0)),  # type: ignore[attr-defined]
            "volumes": len([name for name in volumes if not name.startswith("base-")]),
        }

    done = await asyncio.to_thread(bed.run, 1, ["sh", "-c", COUNT], capture_output=True)
    counted = dict(line.split() for line in done.stdout.splitlines())
    assert len(counted) == COUNT.count("echo"), done.stderr
    return {**await link.call("test", ask), **{name: int(number) for name, number in counted.items()}}


def here() -> dict[str, int]:
    """What this process holds."""
    gc.collect()
    return {"threads": threading.active_count(), "descriptors": len(list(Path("/proc/self/fd").iterdir()))}


async def settled(bed: Bed, link: Link, wanted: dict[str, int]) -> dict[str, int]:
    """What is left on the host when that is what was wanted, or after a while all the same."""
    found = await on_the_host(bed, link)
    for _ in range(20):
        if found == wanted:
            break
        await asyncio.sleep(0.5)  # libvirtd sweeps up behind a guest that has ended
        found = await on_the_host(bed, link)
    return found


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("lives", [50, pytest.param(500, marks=pytest.mark.proof)])
def test_lives_of_servers_leave_nothing_on_a_host_and_nothing_here(
    bed: Bed, tmp_path_factory: pytest.TempPathFactory, lives: int
) -> None:
    ids = Ids(np.random.default_rng())
    network, image = str(ids.uuid()), guest_reference()

    def make_spec() -> ServerSpec:
        server, port = str(ids.uuid()), str(ids.uuid())
        mac = "fa:16:3e:" + ":".join(server[at : at + 2] for at in (0, 2, 4))
        return ServerSpec(
            server, 1, "one of many", str(ids.uuid()), 1, 96, image=image, ports=(PortSpec(port, network, mac),),
            config_drive=True, drive={"openstack/latest/meta_data.json": "{}"},
        )  # fmt: skip

    async def live(driver: LibvirtDriver, host: str) -> None:
        specs = [make_spec() for _ in range(AT_ONCE)]
        await asyncio.gather(*(driver.spawn(host, spec, deadline=120) for spec in specs))
        copies = await driver.list_servers(host, deadline=60)
        assert {copy.uuid for copy in copies} == {spec.uuid for spec in specs}
        await asyncio.gather(*(driver.destroy(host, spec.key, deadline=120) for spec in specs))
        assert await driver.list_servers(host, deadline=60) == ()

    async def scene(driver: LibvirtDriver, _trouble: BedTrouble) -> None:
        link = driver.links[0]
        await live(driver, link.uuid)  # the image comes to the host, and threads come to be
        there, before = await on_the_host(bed, link), here()
        for _ in range(lives // AT_ONCE):
            await live(driver, link.uuid)
        assert await settled(bed, link, there) == there
        assert here() == before
        assert {name: driver.statistics()[name] for name in ("jobs", "turns")} == {"jobs": 0, "turns": 0}

    play(bed, tmp_path_factory.getbasetemp() / "libvirt-images", scene)
