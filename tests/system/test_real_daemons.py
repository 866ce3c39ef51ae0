"""libvirtd is killed again and again while much is asked: all comes to its end, and no guest is harmed."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from tests.bed.bed import Bed, virsh
from tests.bed.layout import HostPlace
from tests.real_hosts import guest_disk
from tests.system.real_clouds import BOOT_SECONDS, RealCloud, cloud, holdings, wait_for  # noqa: F401

pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

pytestmark = [pytest.mark.libvirt, pytest.mark.slow]

KILLS = 8
SERVERS = 6


def answers(place: HostPlace) -> bool:
    return virsh(place, "version", check=False).returncode == 0


@contextmanager
def killing(bed: Bed, times: int) -> Iterator[None]:
    """Kill the daemon of a host, now of this and now of that, until so many were; then the block may end."""
    dice = random.Random(11)

    def kill() -> None:
        for _ in range(times):
            place = dice.choice(bed.hosts())
            bed.run(place.number, ["pkill", "-KILL", "libvirtd"])
            # One that never answers for eight seconds on end would be a host that is down, which is another story.
            wait_for(partial(answers, place), seconds=60.0)
            done.wait(dice.uniform(0.5, 4.0))

    done = threading.Event()
    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def guests(bed: Bed, *servers: str) -> dict[str, list[str]]:
    """The processes of servers, by what their hosts know them."""
    found = {}
    for server in servers:
        told = [virsh(place, "domid", f"sundog-{server}", check=False).stdout.strip() for place in bed.hosts()]
        found[server] = [each for each in told if each.isdigit()]
    return found


def test_all_that_is_asked_comes_to_its_end(cloud: RealCloud, bed: Bed) -> None:  # noqa: F811
    image, flavor, network = cloud.upload(guest_disk()), cloud.flavor(), cloud.network()
    cloud.overcommit()
    kept = [cloud.boot(image, flavor, network, f"kept-{number}") for number in range(2)]
    moved = cloud.boot(image, flavor, network, "moved")
    for each in (*kept, moved):
        cloud.settled(each, "ACTIVE")
    before = guests(bed, *kept)

    with killing(bed, KILLS):
        servers = [cloud.boot(image, flavor, network, f"new-{number}") for number in range(SERVERS)]
        cloud.act(moved, **{"os-migrateLive": {"host": None, "block_migration": "auto"}})
        for each in servers[: SERVERS // 2]:
            cloud.ask("DELETE", "compute", f"/servers/{each}")  # some while they are being made
    for each in servers[: SERVERS // 2]:
        wait_for(partial(cloud.is_gone, each), seconds=BOOT_SECONDS)
    for each in servers[SERVERS // 2 :]:
        cloud.settled(each, "ACTIVE")
    cloud.settled(moved, "ACTIVE")  # here or there
    running = guests(bed, *servers, moved)
    assert [len(each) for each in running.values()] == [0] * (SERVERS // 2) + [1] * (SERVERS - SERVERS // 2 + 1)
    assert guests(bed, *kept) == before
    for each in (*kept, moved, *servers[SERVERS // 2 :]):
        cloud.delete(each)
    cloud.stop()
    assert "0 found" in cloud.command("audit")
    assert holdings(bed) == {place.name: [] for place in bed.hosts()}
