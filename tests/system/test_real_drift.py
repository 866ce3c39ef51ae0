"""What somebody does with virsh behind the cloud's back: the server is right or in ERROR, and no guest is lost."""

from __future__ import annotations

import shutil
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest

from sundog.backends.contract import ServerSpec
from sundog.backends.libvirt.domain_xml import NAMESPACE, write_domain
from sundog.backends.libvirt.link import HostSpec
from sundog.backends.libvirt.plan import plan
from tests.bed.bed import Bed, virsh
from tests.bed.layout import HostPlace
from tests.real_hosts import guest_disk
from tests.system.real_clouds import RealCloud, cloud, wait_for  # noqa: F401

pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

pytestmark = [pytest.mark.libvirt, pytest.mark.slow]

SWEEP_SECONDS = 90.0
"""What no event tells of is seen when hosts are compared with the books, each minute."""


def destroyed(place: HostPlace, name: str) -> None:
    virsh(place, "destroy", name)


def suspended(place: HostPlace, name: str) -> None:
    virsh(place, "suspend", name)


def saved(place: HostPlace, name: str) -> None:
    virsh(place, "managedsave", name)


def undefined(place: HostPlace, name: str) -> None:
    virsh(place, "destroy", name)
    virsh(place, "undefine", name)


def unplugged(place: HostPlace, name: str) -> None:
    mac = virsh(place, "domiflist", name).stdout.split()[-1]
    virsh(place, "detach-interface", name, "network", "--mac", mac, "--config")


def unstamped(place: HostPlace, name: str) -> None:
    virsh(place, "metadata", name, "--uri", NAMESPACE, "--remove", "--live", "--config")


def garbled(place: HostPlace, name: str) -> None:
    stamp = "<copy server='somebody' generation='first'/>"
    virsh(place, "metadata", name, "--uri", NAMESPACE, "--key", "sundog", "--set", stamp, "--live", "--config")


def started(place: HostPlace, name: str) -> None:
    virsh(place, "start", name)


DRIFTS: dict[Callable[[HostPlace, str], None], tuple[str, str]] = {
    destroyed: ("SHUTOFF", "shut off"),
    started: ("SHUTOFF", "shut off"),  # its owner had stopped it
    suspended: ("PAUSED", "paused"),
    saved: ("SUSPENDED", "shut off"),
    undefined: ("ERROR", ""),
    unplugged: ("ACTIVE", "running"),
    unstamped: ("ERROR", "running"),
    garbled: ("ERROR", "running"),
}
"""What is done to a server, and what becomes of it: its status, and what its domain does, if it is there."""


def state(place: HostPlace, name: str) -> str:
    return virsh(place, "domstate", name, check=False).stdout.strip()


def files(place: HostPlace, server: str) -> list[str]:
    """What a host has that is called as a server's."""
    return sorted(path.name for path in (place.folder / "lib/sundog").rglob(f"{server}-*"))


def test_servers_are_right_or_in_error_and_others_domains_as_they_were(cloud: RealCloud, bed: Bed) -> None:  # noqa: F811
    image, flavor, network = cloud.upload(guest_disk()), cloud.flavor(), cloud.network()
    cloud.overcommit()
    servers = {drift: cloud.boot(image, flavor, network, drift.__name__) for drift in DRIFTS}
    places = {place.name: place for place in bed.hosts()}
    at = {drift: places[cloud.settled(each, "ACTIVE")["OS-EXT-SRV-ATTR:host"]] for drift, each in servers.items()}
    cloud.act(servers[started], **{"os-stop": None})
    cloud.settled(servers[started], "SHUTOFF")
    theirs = {}
    for number, (place, stamp) in enumerate([(bed.hosts()[0], "two"), (bed.hosts()[1], "")]):
        spec = ServerSpec(f"5d0b00{number:02d}-0000-4000-8000-0000000000aa", 1, "theirs", "", 1, 96)
        text = write_domain(plan(spec, HostSpec("", "", virt_type="qemu", cloud=stamp), root=False))
        text = text if stamp else text.replace("sundog:copy", "theirs:copy").replace("xmlns:sundog", "xmlns:theirs")
        path = cloud.state / "theirs.xml"
        path.write_text(text.replace(NAMESPACE, NAMESPACE if stamp else "urn:theirs"))
        virsh(place, "define", str(path))
        virsh(place, "start", f"sundog-{spec.uuid}")
        theirs[spec.uuid] = (place, virsh(place, "dumpxml", f"sundog-{spec.uuid}").stdout)

    for drift, server in servers.items():
        drift(at[drift], f"sundog-{server}")
    for drift, (status, does) in DRIFTS.items():
        name = f"sundog-{servers[drift]}"

        due = time.monotonic() + SWEEP_SECONDS
        while (told := (cloud.server(servers[drift])["status"], state(at[drift], name))) != (status, does):
            assert time.monotonic() < due, f"{drift.__name__}: {told}"
            time.sleep(0.5)
    wait_for(lambda: virsh(at[unplugged], "domiflist", f"sundog-{servers[unplugged]}").stdout.strip(), seconds=60)
    assert "not on its host" in cloud.server(servers[undefined])["fault"]["message"]
    for uuid, (place, text) in theirs.items():
        assert virsh(place, "dumpxml", f"sundog-{uuid}").stdout == text
        assert state(place, f"sundog-{uuid}") == "running"

    for drift in (undefined, unstamped):
        cloud.delete(servers[drift])
    assert files(at[undefined], servers[undefined]) == []  # nobody else would remove them
    assert state(at[unstamped], f"sundog-{servers[unstamped]}") == "running"
    assert len(files(at[unstamped], servers[unstamped])) >= 2  # its disk and its log: somebody has taken it


def test_a_server_that_somebody_moved_by_hand_is_not_destroyed(cloud: RealCloud, bed: Bed) -> None:  # noqa: F811
    server = cloud.boot(cloud.upload(guest_disk()), cloud.flavor(), cloud.network())
    host = cloud.settled(server, "ACTIVE")["OS-EXT-SRV-ATTR:host"]
    here, there = sorted(bed.hosts(), key=lambda place: place.name != host)
    name, path = f"sundog-{server}", cloud.state / "moved.xml"
    virsh(here, "destroy", name)
    domain = ET.fromstring(virsh(here, "dumpxml", "--inactive", name).stdout)
    devices = domain.find("devices")
    assert devices is not None
    for card in devices.findall("interface"):
        devices.remove(card)  # its network is not there
    path.write_text(ET.tostring(domain, encoding="unicode").replace(here.address, there.address))
    for file in (here.folder / "lib/sundog").glob("*.qcow2"):
        shutil.copy(file, there.folder / "lib/sundog")
    virsh(here, "undefine", name)
    virsh(there, "define", str(path))
    virsh(there, "start", name)
    began = virsh(there, "domid", name).stdout
    wait_for(lambda: cloud.server(server)["status"] == "ERROR", seconds=SWEEP_SECONDS)
    cloud.stop()
    cloud.serve()  # which compares all hosts with the books
    assert there.name in cloud.command("host", "list")
    time.sleep(2)
    cloud.stop()
    assert server in cloud.command("audit", code=3)
    assert virsh(there, "domid", name).stdout == began
