"""A host is cut off, its server evacuated, and then it is back with the old copy: never two writers on one disk."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sundog.errors import InputError
from tests.bed.bed import Bed, virsh
from tests.bed.layout import HostPlace
from tests.real_hosts import guest_disk
from tests.system.real_clouds import RealCloud, cloud, holdings, wait_for  # noqa: F401

pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

pytestmark = [pytest.mark.libvirt, pytest.mark.slow]

PATIENCE = 120.0


@dataclass
class Writers:
    """Looks again and again which processes of the machine, whatever their host, write to disks of servers."""

    servers: list[str]
    looks: int = 0
    most: int = 0
    broken: dict[tuple[int, int], set[int]] = field(default_factory=dict)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """As long as the block."""
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(0.1):
                self.look()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def look(self) -> None:
        """Once: a file is known by its device and its number there, since hosts have paths of their own."""
        found: dict[tuple[int, int], set[int]] = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if not (process / "comm").read_text().startswith("qemu-system"):
                    continue
                for descriptor in (process / "fd").iterdir():
                    if not any(server in str(descriptor.readlink()) for server in self.servers):
                        continue
                    flags = int((process / "fdinfo" / descriptor.name).read_text().split()[3], 8)
                    told = descriptor.stat()
                    if flags & os.O_ACCMODE and str(descriptor.readlink()).endswith(".qcow2"):
                        found.setdefault((told.st_dev, told.st_ino), set()).add(int(process.name))
            except OSError:
                continue  # it has just gone
        self.looks += 1
        self.most = max(self.most, len(found))
        self.broken |= {file: pids for file, pids in found.items() if len(pids) > 1}


def refused(cloud: RealCloud, server: str) -> str:  # noqa: F811
    """Why a server cannot be evacuated; empty if it is."""
    try:
        cloud.act(server, evacuate={})
    except InputError as error:
        return error.message
    return ""


def force(cloud: RealCloud, host: str, *, down: bool) -> None:  # noqa: F811
    """Say that a host is down, or that it is not."""
    services = cloud.ask("GET", "compute", f"/os-services?binary=nova-compute&host={host}")["services"]
    cloud.ask("PUT", "compute", f"/os-services/{services[0]['id']}", {"forced_down": down})


def domain_id(place: HostPlace, server: str) -> str:
    """The number of a running copy, another one at each start; by the host's socket, which a partition leaves."""
    return virsh(place, "domid", f"sundog-{server}", check=False).stdout.strip()


def split(cloud: RealCloud, bed: Bed, servers: list[str], dice: random.Random) -> int:  # noqa: F811
    """Cut their host off, evacuate, and let it come back, at one time or another; how many were made anew elsewhere."""
    host = cloud.server(servers[0])["OS-EXT-SRV-ATTR:host"]
    old, new = sorted(bed.hosts(), key=lambda place: place.name != host)
    ran = {server: domain_id(old, server) for server in servers}
    bed.partition(old.number)
    wait_for(lambda: "(409)" in refused(cloud, servers[0]), seconds=PATIENCE)  # 400 as long as it seems to be up
    assert {server: domain_id(old, server) for server in servers} == ran
    force(cloud, host, down=True)
    assert [refused(cloud, server) for server in servers] == [""] * len(servers)
    early, killed = dice.random() < 0.3, dice.random() < 0.3
    if early:
        bed.heal(old.number)  # while they are being made anew
    if killed:
        cloud.kill()
        cloud.serve()
    stayed = [server for server in servers if cloud.idle(server)["OS-EXT-SRV-ATTR:host"] == host]
    assert early or not stayed  # nobody's word counts for a host that answers
    moved = [server for server in servers if server not in stayed]
    for server in moved:
        assert cloud.settled(server, "SHUTOFF")["OS-EXT-SRV-ATTR:host"] == new.name
        cloud.act(server, **{"os-start": None})
    for server in servers:
        cloud.settled(server, "ACTIVE")
    right = {server: domain_id(new, server) for server in moved} | {server: ran[server] for server in stayed}
    if not early:
        assert {server: domain_id(old, server) for server in servers} == ran  # two copies run, each on its own disk
        bed.heal(old.number)
    force(cloud, host, down=False)
    wait_for(lambda: not any(server in held for server in moved for held in listed(old)), seconds=PATIENCE)
    assert {server: domain_id(old if server in stayed else new, server) for server in servers} == right
    for server in servers:
        assert cloud.server(server)["status"] == "ACTIVE"
    wait_for(lambda: f'"{host}"' not in down_ones(cloud), seconds=PATIENCE)
    for server in stayed:
        cloud.act(server, **{"os-migrateLive": {"host": None, "block_migration": "auto"}})
        assert cloud.settled(server, "ACTIVE")["OS-EXT-SRV-ATTR:host"] == new.name
    return len(moved)


def listed(place: HostPlace) -> list[str]:
    return virsh(place, "list", "--all", "--name").stdout.split()


def down_ones(cloud: RealCloud) -> str:  # noqa: F811
    hosts = cloud.ask("GET", "sundog", "/fleet/hosts?state=down")["hosts"]
    return " ".join(f'"{each["name"]}"' for each in hosts)


@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("tries", "at_once"), [(5, 1), pytest.param(100, 5, marks=pytest.mark.proof)], ids=["five", "hundred"]
)
def test_there_are_never_two_writers(cloud: RealCloud, bed: Bed, tries: int, at_once: int) -> None:  # noqa: F811
    image, flavor, network = cloud.upload(guest_disk()), cloud.flavor(), cloud.network()
    away = bed.hosts()[1].name
    force(cloud, away, down=True)  # so that all begin on one host
    cloud.overcommit()
    servers = [cloud.boot(image, flavor, network) for _ in range(at_once)]
    for server in servers:
        cloud.settled(server, "ACTIVE")
    force(cloud, away, down=False)
    writers, dice, tried = Writers(servers), random.Random(7), 0
    with writers.watching():
        while tried < tries:
            tried += split(cloud, bed, servers, dice)
    print(
        f"{tried} tries of a split brain: {len(writers.broken)} disks with two writers, "
        f"in {writers.looks} looks at up to {writers.most} disks"
    )
    assert writers.broken == {}
    assert writers.most == 2 * at_once
    for server in servers:
        cloud.delete(server)
    assert holdings(bed) == {place.name: [] for place in bed.hosts()}
