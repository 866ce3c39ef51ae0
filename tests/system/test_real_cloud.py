"""A cloud of real hosts as its owner has it: added, served, killed, backed up, and never a guest harmed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sundog.app.hosts import DEFAULT_POOL
from sundog.backends.libvirt.identity import FILE
from tests.bed.bed import Bed, virsh
from tests.bed.image import guest_image
from tests.system.real_clouds import RealCloud, cloud, holdings, idle_cloud  # noqa: F401

pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

pytestmark = [pytest.mark.libvirt, pytest.mark.slow]


def test_a_server_lives_on_two_hosts_and_leaves_nothing(cloud: RealCloud, bed: Bed) -> None:  # noqa: F811
    told = json.loads(cloud.command("host", "list", "--json"))["hosts"]
    assert [(each["name"], each["state"], each["status"]) for each in told] == [
        (place.name, "up", "enabled") for place in bed.hosts()
    ]
    image, flavor, network = cloud.upload(guest_image().disk), cloud.flavor(), cloud.network()
    server = cloud.boot(image, flavor, network)
    first = cloud.settled(server, "ACTIVE")["OS-EXT-SRV-ATTR:host"]
    cloud.act(server, **{"os-stop": None})
    cloud.settled(server, "SHUTOFF")
    # It was still booting, and heard of it all the same: it was not cut off.
    assert "sundog-guest: power-off" in cloud.console(server)
    cloud.act(server, **{"os-start": None})
    cloud.settled(server, "ACTIVE")
    cloud.wait_for_console(server, "sundog-guest: start")

    cloud.act(server, **{"os-migrateLive": {"host": None, "block_migration": "auto"}})
    second = cloud.settled(server, "ACTIVE")["OS-EXT-SRV-ATTR:host"]
    assert {first, second} == {place.name for place in bed.hosts()}

    cloud.act(server, **{"os-stop": None})
    cloud.settled(server, "SHUTOFF")
    cloud.act(server, **{"os-start": None})
    cloud.settled(server, "ACTIVE")

    assert "is on host" in cloud.command("host", "drain", second)
    assert cloud.server(server)["OS-EXT-SRV-ATTR:host"] == first
    cloud.delete(server)
    cloud.command("host", "remove", second)
    assert [each["name"] for each in json.loads(cloud.command("host", "list", "--json"))["hosts"]] == [first]
    assert holdings(bed) == {place.name: [] for place in bed.hosts()}


def test_a_control_plane_that_is_killed_harms_no_guest(cloud: RealCloud, bed: Bed) -> None:  # noqa: F811
    image, flavor, network = cloud.upload(guest_image().disk), cloud.flavor(), cloud.network()
    server = cloud.boot(image, flavor, network)
    host = cloud.settled(server, "ACTIVE")["OS-EXT-SRV-ATTR:host"]
    place = next(each for each in bed.hosts() if each.name == host)
    began = _domain_id(place, server)
    other = cloud.boot(image, flavor, network, "other")  # this one is under way
    cloud.kill()

    assert _domain_id(place, server) == began
    cloud.serve()
    cloud.settled(other, "ACTIVE")
    assert cloud.settled(server, "ACTIVE")["OS-EXT-SRV-ATTR:host"] == host
    assert _domain_id(place, server) == began, "the guest was started anew"
    cloud.stop()
    assert "0 found" in cloud.command("audit")
    cloud.serve()
    for each in (server, other):
        cloud.delete(each)
    assert holdings(bed) == {place.name: [] for place in bed.hosts()}


def test_an_older_backup_harms_no_guest_before_its_owner_says_so(cloud: RealCloud, bed: Bed) -> None:  # noqa: F811
    image, flavor, network = cloud.upload(guest_image().disk), cloud.flavor(), cloud.network()
    kept, gone = (cloud.boot(image, flavor, network, name) for name in ("kept", "gone"))
    for each in (kept, gone):
        cloud.settled(each, "ACTIVE")
    file = cloud.state.with_name("backup")
    assert "MB" in cloud.command("backup", file)  # while it is served
    cloud.delete(gone)
    later = cloud.boot(image, flavor, network, "later")
    place = next(each for each in bed.hosts() if each.name == cloud.settled(later, "ACTIVE")["OS-EXT-SRV-ATTR:host"])
    began = _domain_id(place, later)
    cloud.stop()

    cloud.state = cloud.state.with_name("restored")
    assert "sundog audit" in cloud.command("restore", file)
    assert "restored from a backup" in cloud.command("serve", "--backend", "libvirt", code=2)
    told = json.loads(cloud.command("audit", "--json", code=3))
    assert {finding["ids"][1] for finding in told["left"] if finding["kind"] == "drift"} == {later, gone}
    assert _domain_id(place, later) == began

    cloud.command("audit", "--heal", code=4)
    cloud.serve()
    cloud.settled(kept, "ACTIVE")
    assert cloud.server(gone)["status"] == "ERROR"
    for each in (kept, gone):
        cloud.delete(each)
    assert holdings(bed) == {place.name: [] for place in bed.hosts()}


def test_a_host_has_one_cloud_at_a_time(cloud: RealCloud, bed: Bed, tmp_path: Path) -> None:  # noqa: F811
    image, flavor, network = cloud.upload(guest_image().disk), cloud.flavor(), cloud.network()
    server = cloud.boot(image, flavor, network)
    host = cloud.settled(server, "ACTIVE")["OS-EXT-SRV-ATTR:host"]
    place = next(each for each in bed.hosts() if each.name == host)
    free = next(each for each in bed.hosts() if each.name != host)
    began, mine = _domain_id(place, server), json.loads(cloud.command("host", "list", "--json"))["cloud"]

    with idle_cloud(tmp_path / "other") as other:
        assert "it holds 1 of another cloud" in other.command("host", "add", place.tcp, "--virt-type", "qemu", code=3)
        assert f"belongs to cloud {mine}" in other.command("host", "add", free.tcp, "--virt-type", "qemu", code=3)
        other.state.mkdir(exist_ok=True)
        shutil.copy(cloud.state / "hosts.yaml", other.state / "hosts.yaml")  # somebody insists
        other.serve()
        told = json.loads(other.command("host", "list", "--json"))["hosts"]
        assert [each["state"] for each in told] == ["down", "down"]
        assert all(f"belongs to cloud {mine}" in each["state_reason"] for each in told)
        assert f"{host} is down: host {host}: it belongs to cloud {mine}" in other.command("host", "list")
        other.stop()
        assert json.loads(other.command("host", "list", "--json"))["cloud"] not in (None, mine)
        assert _domain_id(place, server) == began
        assert "still says that it is this cloud's: it belongs" in other.command("host", "remove", host)

        cloud.delete(server)
        bed.kill(place.number)
        assert f"remove {DEFAULT_POOL}/{FILE} on it by hand" in cloud.command("host", "remove", place.name)
        bed.revive(place.number)
        assert "still" not in cloud.command("host", "remove", free.name)
        cloud.stop()
        other.command("host", "remove", free.name)
        other.command("host", "add", free.tcp, "--virt-type", "qemu")
        told = other.command("host", "add", place.tcp, "--virt-type", "qemu", code=3)
        assert f"belongs to cloud {mine}" in told


def _domain_id(place: object, server: str) -> str:
    """What libvirt calls a guest for as long as it runs: another number at each start."""
    return virsh(place, "domid", f"sundog-{server}").stdout.strip()  # type: ignore[arg-type]
