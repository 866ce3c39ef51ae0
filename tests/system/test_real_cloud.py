"""A cloud of real hosts as its owner has it: added, served, killed, backed up, and never a guest harmed."""

from __future__ import annotations

import json

import pytest

from tests.bed.bed import Bed, virsh
from tests.bed.image import guest_image
from tests.system.real_clouds import RealCloud, cloud, holdings  # noqa: F401

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


def _domain_id(place: object, server: str) -> str:
    """What libvirt calls a guest for as long as it runs: another number at each start."""
    return virsh(place, "domid", f"sundog-{server}").stdout.strip()  # type: ignore[arg-type]
