"""Servers that come and go on real hosts leave nothing behind: there, in the control plane, or in networks."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from sundog.backends.contract import PortSpec, ServerSpec
from sundog.backends.libvirt.driver import LibvirtDriver
from sundog.runtime.ids import Ids
from tests.bed.bed import Bed, virsh
from tests.bed.layout import HostPlace
from tests.real_hosts import BedTrouble, guest_reference, play
from tests.system.real_clouds import RealCloud, cloud, wait_for, wiring_left  # noqa: F401
from tests.system.test_parallel_creates import at_once, counts, halting_disk, raise_limits
from tests.system.test_real_cloud_networks import Wired

pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

pytestmark = [pytest.mark.libvirt, pytest.mark.slow]

T = TypeVar("T")

AT_ONCE = 5
PATIENCE = 300.0

# What a host has of servers, a word and a number a line. `run` holds what libvirtd and QEMU keep of guests that run.
COUNT = r"""
pid=$(cat /run/libvirtd.pid)
echo descriptors $(ls /proc/$pid/fd | wc -l)
echo taps $(ip -o link | grep -c ': tap')
echo bridges $(ip -o link | grep -c ': sbr')
echo tunnels $(ip -o link | grep -c ': svx')
echo rules $( (iptables-save; ip6tables-save; ebtables-save) 2>/dev/null | grep -c tap)
echo namespaces $(readlink /proc/[0-9]*/ns/net /proc/[0-9]*/ns/mnt | sort -u | wc -l)
echo guests $(ls /proc/[0-9]*/exe -l 2>/dev/null | grep -c qemu-system)
echo run $(find /run/libvirt/qemu -name 'sundog-*' -o -path '*/domain-*' | wc -l)
echo definitions $(ls /etc/libvirt/qemu | grep -c '^sundog-')
echo files $(find /var/lib/libvirt/sundog -type f ! -name 'base-*' | wc -l)
echo folders $(find /var/lib/libvirt/qemu -type d | wc -l)
"""


def on_the_host(bed: Bed, place: HostPlace) -> dict[str, int]:
    """What is left of servers on a host, as its kernel and its libvirt count it."""
    done = bed.run(place.number, ["sh", "-c", COUNT], capture_output=True)
    counted = dict(line.split() for line in done.stdout.splitlines())
    assert len(counted) == COUNT.count("echo"), done.stderr
    pools = virsh(place, "pool-list", "--name").stdout.split()
    for pool in pools:
        virsh(place, "pool-refresh", pool)
    volumes = [line.split()[0] for pool in pools for line in virsh(place, "vol-list", pool).stdout.splitlines()]
    return {name: int(number) for name, number in counted.items()} | {
        "domains": len(virsh(place, "list", "--all", "--name").stdout.split()),
        "networks": len(virsh(place, "net-list", "--all", "--name").stdout.split()),
        "filters": virsh(place, "nwfilter-list").stdout.count("sundog-"),
        "volumes": len([name for name in volumes if not name.startswith("base-")]),
    }


def held_by(pid: int) -> dict[str, int]:
    """What a process holds, and how many it has started that run."""
    tasks = list(Path(f"/proc/{pid}/task").iterdir())
    children = [child for task in tasks for child in (task / "children").read_text().split()]
    return {
        "threads": len(tasks), "descriptors": len(list(Path(f"/proc/{pid}/fd").iterdir())), "children": len(children)
    }  # fmt: skip


def here() -> dict[str, int]:
    """What this process holds."""
    gc.collect()
    return {"threads": threading.active_count(), "descriptors": len(list(Path("/proc/self/fd").iterdir()))}


def settled(count: Callable[[], dict[str, T]], wanted: dict[str, T]) -> dict[str, T]:
    """What is left when that is what was wanted, or after a while all the same."""
    found = count()
    for _ in range(30):
        if found == wanted:
            break
        time.sleep(0.5)  # libvirtd sweeps up behind a guest that has ended
        found = count()
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
        place = bed.hosts()[0]
        there, before = await asyncio.to_thread(on_the_host, bed, place), here()
        for _ in range(lives // AT_ONCE):
            await live(driver, link.uuid)
        assert await asyncio.to_thread(settled, lambda: on_the_host(bed, place), there) == there
        assert here() == before
        assert {name: driver.statistics()[name] for name in ("jobs", "turns")} == {"jobs": 0, "turns": 0}

    play(bed, tmp_path_factory.getbasetemp() / "libvirt-images", scene)


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("lives", [20, pytest.param(500, marks=pytest.mark.proof)])
def test_lives_behind_the_api_leave_nothing_in_the_control_plane_and_in_networks(
    cloud: RealCloud,  # noqa: F811
    bed: Bed,
    tmp_path: Path,
    lives: int,
) -> None:
    raise_limits(cloud, AT_ONCE)
    image, flavor = cloud.upload(halting_disk(tmp_path)), cloud.flavor("halts", 32)
    assert cloud.process is not None
    served = cloud.process.pid

    def live(asked: int = 0) -> None:
        """A network, a router, servers with a floating IP for one; and all of it goes. Hosts are asked so often."""
        wired = Wired(cloud, bed.layout.gateway)
        servers = at_once(lambda n: cloud.boot(image, flavor, wired.network, f"vm{n}"), range(AT_ONCE))
        wait_for(lambda: set(counts(cloud)) <= {"ACTIVE", "ERROR"}, seconds=PATIENCE)
        assert counts(cloud) == {"ACTIVE": AT_ONCE}
        at_once(lambda n: cloud.ask("GET", "compute", f"/servers/{servers[n % AT_ONCE]}/diagnostics"), range(asked))
        ports = cloud.ask("GET", "network", f"/v2.0/ports?device_id={servers[0]}")["ports"]
        wired.float(ports[0]["id"])
        at_once(lambda server: cloud.ask("DELETE", "compute", f"/servers/{server}"), servers)
        wait_for(lambda: counts(cloud) == {}, seconds=PATIENCE)
        wired.remove()

    def count() -> dict[str, Any]:
        return {
            **{place.name: on_the_host(bed, place) for place in bed.hosts()},
            "wires": wiring_left(bed, cloud.state), "control plane": held_by(served),
        }  # fmt: skip

    live()  # the image comes to hosts
    live(asked=60)  # all threads and connections come to be that are kept
    nothing: dict[str, list[str]] = {**{place.name: [] for place in bed.hosts()}, "node": []}
    wait_for(lambda: wiring_left(bed, cloud.state) == nothing, seconds=PATIENCE)
    before = count()
    for _ in range(lives // AT_ONCE):
        live()
    assert settled(count, before) == before
