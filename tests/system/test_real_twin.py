"""Real hosts and simulated ones decide the same, and what is measured on the ones is learnt by the others."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from sundog.app import DURATIONS_FILE
from sundog.backends.durations import Outcome, read_durations
from sundog.backends.simulated import read_timings
from sundog.backends.simulated.console import empty_qcow2
from sundog.control.compute.records import Flavor
from tests.bed.bed import Bed
from tests.bed.image import guest_image
from tests.conftest import REPOSITORY
from tests.system.real_clouds import RealCloud, clear, holdings, real_cloud, wait_for
from tests.system.test_command import environment
from tests.system.test_one_core import Wanted, behind_the_api, in_a_study, scenario_file, workload
from tests.unit.cli.conftest import command

pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

pytestmark = [pytest.mark.libvirt, pytest.mark.slow]

SIZES = [Flavor(f"{v}-{m}", f"{v}-{m}", v, m, root_gb=1) for v in (1, 2) for m in (64, 128)]
TWIN = """
name: six
horizon: 1 h
fleet: [{count: 1, type: {name: unused, vcpus: 1, memory: 1 GiB}}]
workload: {trace: {path: trace.csv, format: normalised}}
policy: nova
"""
SIX = """vm_id,arrival_s,lifetime_s,vcpus,memory_mb,disk_gb
a,0,600,1,128,1
b,10,300,1,192,1
c,20,900,1,128,1
d,30,,2,128,1
e,400,,1,256,1
f,700,,1,128,1
"""


@pytest.fixture
def cloud(bed: Bed, tmp_path: Path) -> Iterator[RealCloud]:
    """A cloud over both hosts of the bed, not served."""
    try:
        with real_cloud(bed, tmp_path / "state") as cloud:
            cloud.stop()
            yield cloud
    finally:
        clear(bed)


def fleet_of_hosts(cloud: RealCloud) -> str:
    """A scenario's fleet of hosts as large as real ones, each of a type that has its name."""
    types = []
    for provider in cloud.ask("GET", "placement", "/resource_providers")["resource_providers"]:
        told = cloud.ask("GET", "placement", f"/resource_providers/{provider['uuid']}/inventories")["inventories"]
        vcpus, memory, disk = told["VCPU"], told["MEMORY_MB"], told["DISK_GB"]
        assert {each["allocation_ratio"] for each in told.values()} == {1.0}
        assert (vcpus["reserved"], disk["reserved"]) == (0, 0)
        types.append(
            f"{{count: 1, type: {{name: {provider['name']}, vcpus: {vcpus['total']}, memory: {memory['total']} MiB, "
            f"disk: {disk['total']}, reserved: {{memory: {memory['reserved']} MiB}}}}}}"
        )
    return f"[{', '.join(types)}]"


def on_real_hosts(cloud: RealCloud, servers: Sequence[Wanted]) -> dict[str, str | None]:
    """Where each server went, None for nowhere, asked by requests of OpenStack's API one after the other."""
    facts = {"name": "empty", "disk_format": "qcow2", "container_format": "bare"}
    image = cloud.ask("POST", "image", "/v2/images", facts)["id"]
    cloud.ask("PUT", "image", f"/v2/images/{image}/file", empty_qcow2(2**30))
    for size in SIZES:
        flavor = {"id": size.id, "name": size.name, "vcpus": size.vcpus, "ram": size.memory_mb, "disk": size.root_gb}
        cloud.ask("POST", "compute", "/flavors", {"flavor": flavor})
    found: dict[str, str | None] = {}
    ids: dict[str, str] = {}
    events = [(each.begin, "create", each) for each in servers] + [(each.end, "delete", each) for each in servers]
    for _, what, each in sorted(events, key=lambda event: event[0]):
        if what == "create":
            body = {"name": each.name, "flavorRef": each.flavor.id, "imageRef": image, "networks": "none"}
            ids[each.name] = cloud.ask("POST", "compute", "/servers", {"server": body})["server"]["id"]
            status = "ERROR" if cloud.server(ids[each.name])["status"] == "ERROR" else "ACTIVE"
            found[each.name] = cloud.settled(ids[each.name], status)["OS-EXT-SRV-ATTR:host"]
            assert (found[each.name] is None) == (status == "ERROR")
        else:
            cloud.delete(ids[each.name])
    return found


@pytest.mark.parametrize("policy", ["nova", "best-fit"])
def test_a_study_simulated_hosts_and_real_hosts_take_the_same_decisions(
    policy: str, cloud: RealCloud, bed: Bed, tmp_path: Path
) -> None:
    servers = workload(seed=3, count=12, sizes=SIZES)
    cloud.serve("--policy", policy)
    path = scenario_file(tmp_path, policy, servers, fleet=fleet_of_hosts(cloud), ratio=1.0)

    study = in_a_study(path, tmp_path / "out")
    simulated = behind_the_api(path, policy, servers, tmp_path)
    real = on_real_hosts(cloud, servers)

    assert simulated == study
    assert real == {name: host and host.removesuffix("-0") for name, host in study.items()}
    assert set(real.values()) == {None, *(place.name for place in bed.hosts())}, "both hosts, and some refused"
    assert holdings(bed) == {place.name: [] for place in bed.hosts()}


def test_twins_decide_the_same_and_learn_how_long_things_take(cloud: RealCloud, bed: Bed, tmp_path: Path) -> None:
    (tmp_path / "six.yaml").write_text(TWIN)
    (tmp_path / "trace.csv").write_text(SIX)
    durations, calibration = tmp_path / "durations.jsonl", tmp_path / "calibration.yaml"
    image = Path(shutil.copy(guest_image().disk, tmp_path / "guest.qcow2"))
    asked = ("twin", tmp_path / "six.yaml", "--image", image, "--live-migrate", "--durations", durations, "--json")

    told = json.loads(cloud.command(*asked))

    assert [each for each in told["decisions"] if not each["same"]] == []
    hosts = {each["request"]: each["real"] for each in told["decisions"]}
    assert set(hosts.values()) == {None, *(place.name for place in bed.hosts())}
    assert holdings(bed) == {place.name: [] for place in bed.hosts()}

    records = read_durations(durations)
    assert stat.S_IMODE(durations.stat().st_mode) == 0o600
    counted = {each.operation: 0 for each in records}
    for each in records:
        assert each.outcome is Outcome.DONE, each
        counted[each.operation] += 1
    assert counted["spawn"] == counted["destroy"] >= 4
    assert counted["live_migrate"] >= 3
    assert counted["fetch"] in (1, 2)
    assert [each.image_there for each in records if each.operation == "spawn"].count(False) == counted["fetch"]
    assert all(each.seconds > 0.05 and each.memory_mib for each in records if each.operation == "live_migrate")

    made = command("calibrate", durations, "--out", calibration, "--held-out", 0, "--json")
    assert made.code == 0, made.err
    fitted = {each["name"] for each in made.json["parameters"] if each["observations"]}
    assert fitted >= {"seconds.define", "seconds.start", "seconds.destroy", "seconds.migrate"}
    timings = read_timings(calibration)
    spawns = sorted(each.seconds for each in records if each.operation == "spawn" and each.image_there)
    assert spawns[0] * 0.9 <= timings.seconds["define"] + timings.seconds["start"] <= spawns[-1] * 1.1


def test_twins_keep_away_from_clouds_that_are_served_and_hosts_that_have_servers(
    cloud: RealCloud, bed: Bed, tmp_path: Path
) -> None:
    (tmp_path / "six.yaml").write_text(TWIN)
    (tmp_path / "trace.csv").write_text(SIX)
    (tmp_path / "empty.qcow2").write_bytes(empty_qcow2(2**30))
    asked = ("twin", tmp_path / "six.yaml", "--image", tmp_path / "empty.qcow2")
    cloud.serve()
    assert "is in use by another sundog serve" in cloud.command(*asked, code=4)

    image = cloud.upload(tmp_path / "empty.qcow2")
    body = {"name": "mine", "flavorRef": cloud.flavor(), "imageRef": image, "networks": "none"}
    server = cloud.ask("POST", "compute", "/servers", {"server": body})["server"]["id"]
    cloud.settled(server, "ACTIVE")
    records = read_durations(cloud.state / DURATIONS_FILE)
    assert [(each.operation, each.memory_mib) for each in records] == [("fetch", None), ("spawn", 128.0)]
    assert stat.S_IMODE((cloud.state / DURATIONS_FILE).stat().st_mode) == 0o600
    cloud.stop()
    assert "there are servers on host" in cloud.command(*asked, code=2)
    cloud.serve()
    assert cloud.settled(server, "ACTIVE")["status"] == "ACTIVE"
    cloud.delete(server)
    assert holdings(bed) == {place.name: [] for place in bed.hosts()}


def test_a_twin_that_is_interrupted_leaves_nothing_on_hosts(cloud: RealCloud, bed: Bed, tmp_path: Path) -> None:
    (tmp_path / "six.yaml").write_text(TWIN)
    (tmp_path / "trace.csv").write_text(SIX)
    (tmp_path / "empty.qcow2").write_bytes(empty_qcow2(2**30))
    command = [sys.executable, "-m", "sundog", "twin", str(tmp_path / "six.yaml"), "--state", str(cloud.state)]
    command += ["--image", str(tmp_path / "empty.qcow2"), "--booted", "never", "--durations", str(tmp_path / "d")]
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment(), stderr=subprocess.PIPE, text=True)
    wait_for(lambda: (tmp_path / "d").is_file() and any(holdings(bed).values()), seconds=120)
    process.terminate()  # which comes to the same as Ctrl-C
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert holdings(bed) == {place.name: [] for place in bed.hosts()}
