"""Many servers asked for at once come to be on real hosts, and many deleted at once leave nothing."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.bed.bed import Bed, virsh
from tests.system.real_clouds import RealCloud, cloud, holdings, wait_for, wiring_left  # noqa: F401
from tests.system.test_real_cloud_networks import Wired

pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

pytestmark = [pytest.mark.libvirt, pytest.mark.slow]

T = TypeVar("T")

PATIENCE = 600.0
HALTS = b"\xf4\xeb\xfd".ljust(510, b"\0") + b"\x55\xaa"
"""A boot sector: hlt, and again. Its guest needs little memory and next to no processor."""


def halting_disk(folder: Path) -> Path:
    """The disk of a guest that does nothing."""
    raw, disk = folder / "halts.raw", folder / "halts.qcow2"
    raw.write_bytes(HALTS.ljust(2**20, b"\0"))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(disk)], check=True)
    return disk


def at_once(act: Callable[[T], Any], each: Iterable[T]) -> list[Any]:
    """What came of it, in order, when all was done at once."""
    wanted = list(each)
    with ThreadPoolExecutor(max(1, len(wanted))) as pool:
        return list(pool.map(act, wanted))


def raise_limits(cloud: RealCloud, servers: int) -> None:  # noqa: F811
    """Let there be so many servers of a small flavor."""
    project = cloud.ask("GET", "identity", "/v3/auth/projects")["projects"][0]["id"]
    limits = {"instances": servers, "cores": servers, "ram": 64 * servers}
    cloud.ask("PUT", "compute", f"/os-quota-sets/{project}", {"quota_set": limits})
    cloud.overcommit(32.0)


def counts(cloud: RealCloud) -> dict[str, int]:  # noqa: F811
    """How many servers have each status; those with a task do not count as what they will be."""
    told: dict[str, int] = {}
    for server in cloud.ask("GET", "compute", "/servers/detail?limit=1000")["servers"]:
        word = server["OS-EXT-STS:task_state"] or server["status"]
        told[word] = told.get(word, 0) + 1
    return told


@pytest.mark.parametrize("many", [16, pytest.param(50, marks=pytest.mark.proof)])
def test_all_of_many_servers_asked_for_at_once_are_active(
    cloud: RealCloud,  # noqa: F811
    bed: Bed,
    tmp_path: Path,
    many: int,
) -> None:
    wired = Wired(cloud, bed.layout.gateway)
    raise_limits(cloud, many)
    image, flavor = cloud.upload(halting_disk(tmp_path)), cloud.flavor("halts", 32)

    began = time.monotonic()
    servers = at_once(lambda n: cloud.boot(image, flavor, wired.network, f"vm{n}"), range(many))
    print(f"{time.monotonic() - began:.1f} s until all were accepted")
    wait_for(lambda: set(counts(cloud)) <= {"ACTIVE", "ERROR"}, seconds=PATIENCE)
    taken = time.monotonic() - began
    print(f"{taken:.1f} s until all were ACTIVE, {many / taken:.2f} a second")
    assert counts(cloud) == {"ACTIVE": many}

    found = [cloud.server(server) for server in servers]
    cards = [card for server in found for cards in server["addresses"].values() for card in cards]
    assert len({card["addr"] for card in cards}) == len({card["OS-EXT-IPS-MAC:mac_addr"] for card in cards}) == many
    domains = {place.name: set(virsh(place, "list", "--name").stdout.split()) for place in bed.hosts()}
    for place in bed.hosts():
        here = {f"sundog-{each['id']}" for each in found if each["OS-EXT-SRV-ATTR:host"] == place.name}
        assert domains[place.name] == here
        assert len(here) >= many // 4, "they are on both hosts"
    assert json.loads(cloud.command("host", "list", "--json"))["network"]["failed"] == []

    began = time.monotonic()
    at_once(lambda server: cloud.ask("DELETE", "compute", f"/servers/{server}"), servers)
    wait_for(lambda: counts(cloud) == {}, seconds=PATIENCE)
    print(f"{time.monotonic() - began:.1f} s until all were gone")
    wired.remove()
    nothing: dict[str, list[str]] = {place.name: [] for place in bed.hosts()}
    assert holdings(bed) == nothing
    wait_for(lambda: wiring_left(bed, cloud.state) == {**nothing, "node": []}, seconds=PATIENCE)
    cloud.stop()
    assert "0 found" in cloud.command("audit")
    cloud.serve()
