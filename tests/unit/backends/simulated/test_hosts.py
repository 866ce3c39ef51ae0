"""The hosts of a scenario's fleet, as a driver has them; and what the calibration says."""

from __future__ import annotations

import uuid

import pytest

from sundog.backends.simulated import HostSpec, hosts_of_fleet, load_timings
from sundog.runtime.seeds import Streams
from sundog.sim.fleet import Fleet, build_fleet
from sundog.sim.spec import HostGroup, HostType, Overcommit, Reserved

GPU_HOST = HostType(
    name="gpu", vcpus=64, memory=512 * 1024, disk=2000, gpus=2, gpu_model="A100", reserved=Reserved(vcpus=2),
    resources={"CUSTOM_NIC": 4},
)  # fmt: skip


def make_fleet(count: int = 3) -> Fleet:
    groups = [
        HostGroup(type=GPU_HOST, count=1, zone="az1", aggregates=("fast",)),
        HostGroup(type=HostType(name="c8", vcpus=8, memory=32 * 1024), count=count, racks=count, zone="az2", at=60.0),
    ]
    return build_fleet(groups, Overcommit(vcpus=4))


def hosts(seed: int = 1, count: int = 3) -> dict[str, HostSpec]:
    return {host.name: host for host in hosts_of_fleet(make_fleet(count), Streams(seed))}


def test_a_host_has_what_its_type_has() -> None:
    gpu = hosts()["gpu-0"]
    amounts = {name: (each.total, each.reserved, each.allocation_ratio) for name, each in gpu.inventory.items()}
    assert amounts == {
        "VCPU": (64, 2, 4), "MEMORY_MB": (512 * 1024, 0, 1), "DISK_GB": (2000, 0, 1), "CUSTOM_NIC": (4, 0, 1),
    }  # fmt: skip
    assert [(device.name, [*device.inventory]) for device in gpu.devices] == [
        ("gpu-0:gpu0", ["PGPU"]), ("gpu-0:gpu1", ["PGPU"]),
    ]  # fmt: skip
    assert (gpu.traits, gpu.zone, gpu.rack, gpu.aggregates, gpu.at) == (
        ("CUSTOM_GPU_A100",), "az1", "az1-r0", ("fast",), 0,
    )  # fmt: skip
    assert [(host.rack, host.at) for host in hosts().values()][1:] == [(f"az2-r{i}", 60) for i in range(3)]


def test_a_hosts_uuid_hangs_on_the_seed_and_on_its_name_alone() -> None:
    one, more, other = hosts(1), hosts(1, count=5), hosts(2)
    uuids = [host.uuid for host in more.values()]
    assert len(set(uuids)) == 6
    assert all(str(uuid.UUID(each)) == each and uuid.UUID(each).version == 4 for each in uuids)
    assert [host.uuid for host in one.values()] == uuids[:4]
    assert not {host.uuid for host in one.values()} & {host.uuid for host in other.values()}


def test_the_calibration_has_every_step_and_takes_changes() -> None:
    assert load_timings().seconds["define"] + load_timings().seconds["start"] == pytest.approx(0.6)
    assert load_timings(detect="1 min").detect == 60
    with pytest.raises(ValueError, match="dtect"):
        load_timings(dtect=1)
