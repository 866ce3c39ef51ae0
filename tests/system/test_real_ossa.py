"""Flaws that OpenStack's advisories tell of, tried on real hosts: docs/reference/security.md has all of them."""

from __future__ import annotations

import base64
import gzip
import json
import random
import re
import subprocess
import time
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sundog.backends.libvirt.domain_xml import read_stamp
from tests.bed.bed import Bed, virsh
from tests.real_hosts import guest_disk
from tests.system.real_clouds import BOOT_SECONDS, RealCloud, clear, holdings, real_cloud, unwire, wait_for

pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

pytestmark = [pytest.mark.libvirt, pytest.mark.slow]

POOL = "/var/lib/libvirt/sundog"
CANARY = "/var/lib/libvirt/canary"
SECRET = b"the-canary-of-the-host-" * 400
WRITES = """#!/bin/sh
cd /run
base64 -d > hostile.gz <<END
{header}
END
gunzip hostile.gz
for disk in /dev/vda /dev/vdb; do dd if=hostile of=$disk conv=notrunc; done
sync
echo hostile-written
"""


@pytest.fixture(scope="module")
def shared(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCloud]:
    """A cloud over both hosts of the bed, for all tests here."""
    state = tmp_path_factory.mktemp("ossa") / "state"
    try:
        with real_cloud(bed, state) as cloud:
            yield cloud
    finally:
        clear(bed)
        unwire(state)


@pytest.fixture
def cloud(shared: RealCloud) -> RealCloud:
    """The same, served."""
    if shared.process is None:
        shared.serve()
    return shared


@pytest.fixture
def canary(bed: Bed) -> Iterator[None]:
    """A file of the host's own, which no guest may ever see."""
    for place in bed.hosts():
        bed.run(place.number, ["tee", CANARY], input=SECRET.decode(), stdout=subprocess.DEVNULL)
    yield
    for place in bed.hosts():
        bed.run(place.number, ["rm", "-f", CANARY])


def flavor(cloud: RealCloud, **facts: object) -> str:
    """A new size of servers, large enough for the tiny guest."""
    wanted = {"name": f"size-{uuid.uuid4().hex[:8]}", "ram": 128, "vcpus": 1, "disk": 1} | facts
    return str(cloud.ask("POST", "compute", "/flavors", {"flavor": wanted})["flavor"]["id"])


def hostile(folder: Path) -> bytes:
    """A disk whose first bytes say that it is qcow2, above a file of the host's."""
    made = folder / "hostile"
    subprocess.run(
        ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", CANARY, str(made), "1M"], check=True
    )
    return made.read_bytes()


def beginning(file: Path, size: int) -> bytes:
    """The first bytes of the disk in a qcow2 file, with what is below it."""
    out = file.with_suffix(".beginning")
    try:
        command = ["qemu-img", "dd", "-U", "-f", "qcow2", "-O", "raw", f"bs={size}", "count=1"]
        subprocess.run([*command, f"if={file}", f"of={out}"], check=True, capture_output=True)
        return out.read_bytes()[:size]
    finally:
        out.unlink(missing_ok=True)


def below(bed: Bed, number: int, path: str) -> list[str]:
    """What lies below a disk, as its host's qemu-img finds it."""
    command = ["qemu-img", "info", "-U", "-f", "qcow2", "--backing-chain", "--output=json", path]
    told = bed.run(number, command, capture_output=True)
    assert told.returncode == 0, told.stderr
    return [each["filename"] for each in json.loads(told.stdout)][1:]


@pytest.mark.usefixtures("canary")
def test_ossa_2026_002_a_qcow2_header_in_a_guests_own_disk_leads_nowhere(
    cloud: RealCloud, bed: Bed, tmp_path: Path
) -> None:
    """And OSSA-2016-007, OSSA-2016-001, OSSA-2014-009: live migration, snapshot, rescue, resize."""
    header = hostile(tmp_path)
    image, network = cloud.upload(guest_disk()), cloud.network()
    sizes = [flavor(cloud, disk=gib, **{"OS-FLV-EXT-DATA:ephemeral": 1}) for gib in (1, 2)]
    script = WRITES.format(header=base64.encodebytes(gzip.compress(header)).decode())
    told: dict[str, Any] = {"user_data": base64.b64encode(script.encode()).decode(), "config_drive": True}
    server = cloud.boot(image, sizes[0], network, **told)
    cloud.settled(server, "ACTIVE")
    cloud.wait_for_console(server, "hostile-written")

    cloud.act(server, **{"os-migrateLive": {"host": None, "block_migration": "auto"}})
    cloud.settled(server, "ACTIVE")
    cloud.act(server, createImage={"name": "snapshot"})
    cloud.settled(server, "ACTIVE")
    (snapshot,) = cloud.ask("GET", "image", "/v2/images?name=snapshot")["images"]
    wait_for(lambda: cloud.ask("GET", "image", f"/v2/images/{snapshot['id']}")["status"] == "active", seconds=120)
    cloud.act(server, rescue={"rescue_image_ref": image})
    cloud.settled(server, "RESCUE")
    cloud.act(server, unrescue=None)
    cloud.settled(server, "ACTIVE")
    before = cloud.server(server)["OS-EXT-SRV-ATTR:host"]
    cloud.act(server, resize={"flavorRef": sizes[1]})
    cloud.settled(server, "VERIFY_RESIZE")
    cloud.act(server, confirmResize=None)
    assert cloud.settled(server, "ACTIVE")["OS-EXT-SRV-ATTR:host"] != before
    copy = cloud.boot(snapshot["id"], sizes[0], network, "copy")
    cloud.settled(copy, "ACTIVE")

    roots = 0
    for place in bed.hosts():
        for file in sorted((place.folder / "lib/sundog").glob("*.qcow2")):
            chain = below(bed, place.number, f"{POOL}/{file.name}")
            assert [each for each in chain if not each.startswith(f"{POOL}/base-")] == [], file.name
            assert len(chain) <= 1
            assert SECRET[:100] not in file.read_bytes(), file.name
            if file.name.startswith(server) and ("root" in file.name or "ephemeral" in file.name):
                local = tmp_path / file.name
                subprocess.run(["cp", "--sparse=always", file, local], check=True)
                for name in chain:  # it is known by its path on the host
                    base = place.folder / "lib/sundog" / Path(name).name
                    subprocess.run(
                        ["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", base, local], check=True
                    )
                assert beginning(local, len(header)) == header, file.name  # what the guest wrote, and no more
                roots += 1
        assert bed.run(place.number, ["cat", CANARY], capture_output=True).stdout == SECRET.decode()
    assert roots == 2
    (stored,) = cloud.state.glob(f"images/images/{snapshot['id']}")
    assert SECRET[:100] not in stored.read_bytes()
    assert beginning(stored, len(header)) == header
    for each in (server, copy):
        cloud.delete(each)


SIGNS = "<domain/>&'\"]]>${HOME}$(id)`id`%s;é"


def test_a_name_and_user_data_of_any_signs_are_themselves_on_hosts_and_in_guests(cloud: RealCloud, bed: Bed) -> None:
    script = f"#!/bin/sh\ncat <<'END' >/dev/console\ntold {SIGNS}\n]]><&'\"\nEND\n"
    told: dict[str, Any] = {
        "user_data": base64.b64encode(script.encode()).decode(),
        "config_drive": True,
        "metadata": {"a": SIGNS},
    }
    server = cloud.boot(cloud.upload(guest_disk()), flavor(cloud), cloud.network(), SIGNS, **told)
    host = cloud.settled(server, "ACTIVE")["OS-EXT-SRV-ATTR:host"]
    place = next(each for each in bed.hosts() if each.name == host)
    text = virsh(place, "dumpxml", f"sundog-{server}").stdout
    stamp = read_stamp(text)
    assert stamp is not None
    assert stamp.name == cloud.server(server)["name"] == SIGNS
    assert len(ET.fromstring(text).findall(".//domain")) == 0
    cloud.wait_for_console(server, re.escape(f"told {SIGNS}") + r"\s+\]\]><&'\"")
    cloud.delete(server)


@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("rounds", "at_once"), [(1, 4), pytest.param(50, 4, marks=pytest.mark.proof)], ids=["four", "two-hundred"]
)
def test_ossa_2015_015_a_server_that_is_deleted_while_it_is_resized_leaves_nothing(
    cloud: RealCloud, bed: Bed, rounds: int, at_once: int
) -> None:
    """And OSSA-2015-017: no disk, no place and no part of a quota."""
    image, network = cloud.upload(guest_disk()), cloud.network()
    small, large = flavor(cloud), flavor(cloud, ram=160, disk=2)
    cloud.overcommit()
    dice = random.Random(5)
    for _ in range(rounds):
        servers = [cloud.boot(image, small, network, f"s{number}") for number in range(at_once)]
        for server in servers:
            cloud.settled(server, "ACTIVE")
            cloud.wait_for_console(server, "guest: ready")  # it obeys its power button, so the move goes on
        for server in servers:
            cloud.act(server, resize={"flavorRef": large})
        for server in servers:
            time.sleep(dice.uniform(0.0, 2.0))
            cloud.ask("DELETE", "compute", f"/servers/{server}")
        for server in servers:
            wait_for(partial(cloud.is_gone, server), seconds=BOOT_SECONDS)
    assert holdings(bed) == {place.name: [] for place in bed.hosts()}
    used = cloud.ask("GET", "compute", "/limits")["limits"]["absolute"]
    assert [used[each] for each in ("totalInstancesUsed", "totalCoresUsed", "totalRAMUsed")] == [0, 0, 0]
    for provider in cloud.ask("GET", "placement", "/resource_providers")["resource_providers"]:
        told = cloud.ask("GET", "placement", f"/resource_providers/{provider['uuid']}/usages")["usages"]
        assert set(told.values()) == {0}
    cloud.stop()
    assert "0 found" in cloud.command("audit")
