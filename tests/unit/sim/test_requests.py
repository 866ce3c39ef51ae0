"""Normalised traces as workloads: shapes, scales, GPUs, groups, demands per machine, and what is left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sundog.core.pool import Pool
from sundog.core.scheduler import Devices, ServerGroup, load_policy
from sundog.errors import InputError
from sundog.sim.engine import Engine
from sundog.sim.fleet import Fleet
from sundog.sim.requests import Workload, build_workload
from tests.unit.sim.worlds import FOREVER, make_fleet, make_frame, make_hosts, make_vm, play


def build(rows: Sequence[dict], fleet: Fleet | None = None, **how: Any) -> Workload:
    return build_workload(make_frame(rows), fleet or make_fleet(), **how)


def scales(workload: Workload) -> dict[str, int]:
    return {item.name: item.scale for item in workload.classes}


# ---------------------------------------------------------------- shapes


def test_requests_that_are_alike_share_a_shape() -> None:
    work = build([make_vm(0, 1, 2), make_vm(1, 9, 4), make_vm(2, FOREVER, 2), make_vm(3, 1, 2, 500)])
    assert work.shape.tolist() == [0, 1, 0, 2]
    assert [dict(shape.resources) for shape in work.shapes] == [
        {"VCPU": 2, "MEMORY_MB": 1000}, {"VCPU": 4, "MEMORY_MB": 1000}, {"VCPU": 2, "MEMORY_MB": 500},
    ]  # fmt: skip
    assert work.arrival_s.tolist() == [0, 1, 2, 3]
    assert work.lifetime_s.tolist() == [1, 9, math.inf, 1]
    assert [work.memory_mb(vm) for vm in range(4)] == [1000, 1000, 1000, 500]
    assert len(work) == 4


def test_what_is_missing_and_what_is_given_make_different_shapes() -> None:
    rows = [
        make_vm(0, 1, zone=None, flavor="m1", disk_gb=math.nan),
        make_vm(1, 1, zone="a", flavor="m1", disk_gb=10),
        make_vm(2, 1, zone=None, flavor=None, disk_gb=0),
        make_vm(3, 1, zone="a", flavor="m1", disk_gb=10),
        make_vm(4, 1, zone=None, flavor="m1", disk_gb=math.nan),
    ]
    work = build(rows, make_fleet(make_hosts(disk=100, zone="a")))
    assert work.shape.tolist() == [0, 1, 2, 1, 0]
    assert [(shape.zone, shape.name, dict(shape.resources).get("DISK_GB")) for shape in work.shapes] == [
        (None, "m1", None), ("a", "m1", 10), (None, "", None),
    ]  # fmt: skip


def test_columns_of_any_kind_of_missing_value_are_read_alike() -> None:
    frame = make_frame([make_vm(0, 1), make_vm(1, 1)])
    for missing in (pd.Series([None, None], dtype=object), pd.Series([pd.NA, pd.NA], dtype="string"),
                    pd.Series([math.nan, math.nan]), pd.Categorical([None, None], ["a"])):  # fmt: skip
        (shape,) = build_workload(frame.assign(zone=missing), make_fleet()).shapes
        assert shape.zone is None


def test_a_zone_is_kept_to() -> None:
    fleet = make_fleet(make_hosts(1, 4, zone="a"), make_hosts(1, 4, zone="b"))
    run = play([make_vm(0, 5, zone="b"), make_vm(1, 5, zone="c"), make_vm(2, 5)], fleet)
    assert run.stays == ["vm0 h-1 0..5 arrival", "vm2 h-0 2..7 arrival"]
    assert run.outcomes[1] == "rejected: zone"


# ---------------------------------------------------------------- scales


def test_whole_amounts_are_counted_as_they_are() -> None:
    assert scales(build([make_vm(0, 1, 2)])) == {"VCPU": 1, "MEMORY_MB": 1}


def test_fractions_are_counted_in_the_largest_unit_that_is_exact() -> None:
    work = build([make_vm(0, 1, 0.5), make_vm(1, 1, 1.25, 1000.5)])
    assert scales(work) == {"VCPU": 100, "MEMORY_MB": 10}
    assert [work.classes.amounts(dict(shape.resources)) for shape in work.shapes] == [
        ((0, 50), (1, 10000)), ((0, 125), (1, 10005)),
    ]  # fmt: skip


def test_fractions_of_hosts_and_of_what_they_keep_are_counted_too() -> None:
    fleet = make_fleet(make_hosts(1, 4.5), make_hosts(1, 4, name="kept", reserved={"vcpus": 0.125}))
    assert scales(build([make_vm(0, 1)], fleet)) == {"VCPU": 1000, "MEMORY_MB": 1}


def test_nothing_is_truncated_ten_tenths_fill_a_host_and_an_eleventh_does_not_fit() -> None:
    run = play([make_vm(0, 5, 0.1) for _ in range(11)], make_fleet(make_hosts(1, 1)))
    assert run.outcomes == ["completed"] * 10 + ["rejected: no room: VCPU"]
    run = play([make_vm(0, 5, 1 / 3) for _ in range(4)], make_fleet(make_hosts(1, 1)))
    assert run.outcomes == ["completed"] * 3 + ["rejected: no room: VCPU"]


def test_demands_too_fine_for_any_scale_are_rounded_with_a_note_and_never_to_nothing() -> None:
    run = play([make_vm(0, 5, 0.0123456789456), make_vm(0, 5, 1e-12)], make_fleet(make_hosts(1, 1)))
    assert run.engine.workload.notes == ("demands of VCPU are rounded to the nearest 1/1,000,000,000",)
    assert run.outcomes == ["completed", "completed"]
    assert [dict(shape.resources)["VCPU"] for shape in run.engine.workload.shapes] == [0.012345679, 1e-9]


# ---------------------------------------------------------------- GPUs, disks


def test_gpus_are_devices_and_a_part_is_a_part_of_one() -> None:
    fleet = make_fleet(make_hosts(1, 8, gpus=2))
    rows = [make_vm(0, 1, gpus=0, gpu_share=1.0), make_vm(0, 1, gpus=2, gpu_share=math.nan)]
    rows += [make_vm(0, 1, gpus=1, gpu_share=0.25), make_vm(0, 1, gpus=math.nan, gpu_share=0.5)]
    work = build(rows, fleet)
    assert [shape.devices for shape in work.shapes] == [
        None, Devices((("PGPU", 1.0),), 2), Devices((("PGPU", 0.25),), 1), None,
    ]  # fmt: skip
    assert scales(work)["PGPU"] == 100
    assert build([make_vm(0, 1, gpus=2)], fleet).shapes[0].devices == Devices((("PGPU", 1.0),), 2)


def test_parts_of_gpus_fill_devices_one_by_one() -> None:
    fleet = make_fleet(make_hosts(1, 8, gpus=2))
    halves = [make_vm(0, 5, gpus=1, gpu_share=0.6) for _ in range(3)]
    run = play([*halves, make_vm(0, 5, gpus=1, gpu_share=0.4)], fleet)
    assert run.outcomes == ["completed", "completed", "rejected: no room: PGPU", "completed"]


def test_a_model_of_gpu_asked_for_is_a_trait_of_the_host_and_any_of_several_will_do() -> None:
    fleet = make_fleet(*(make_hosts(1, 8, name=model, gpus=1, gpu_model=model) for model in ("T4", "V100", "A-10")))
    rows = [make_vm(0, 5, gpus=1, gpu_models=models) for models in ("A-10|V100", "V100", "A-10|V100", "P100", None)]
    run = play(rows, fleet)
    assert [stay.split()[1] for stay in run.stays] == ["V100-0", "A-10-0", "T4-0"]
    assert run.outcomes[1] == "rejected: no room: PGPU"
    assert run.outcomes[3] == "rejected: traits"


@pytest.mark.parametrize(("asked", "said"), [
    ({"gpus": 0.5}, "a VM asks for 0.5 GPUs; a part of one is written gpus 1 and gpu_share 0.5"),
    ({"gpus": 2.25}, "a VM asks for 2.25 GPUs"),
    ({"gpus": 1, "gpu_share": 0.0}, "a share of 0 of 1 GPUs; gpu_share is above 0 and at most 1"),
    ({"gpus": 1, "gpu_share": 1.5}, "a share of 1.5 of 1 GPUs"),
])  # fmt: skip
def test_a_number_of_gpus_that_would_have_to_be_cut_is_refused(asked: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        build([make_vm(0, 1, **asked)], make_fleet(make_hosts(1, 8, gpus=2)))


def test_what_no_host_of_the_fleet_has_is_a_resource_of_the_results_and_a_reason() -> None:
    run = play([make_vm(0, 5, disk_gb=10), make_vm(0, 5, gpus=1), make_vm(0, 5)], make_fleet(make_hosts()))
    assert [each.name for each in run.engine.workload.resources] == ["vcpus", "memory_mb", "disk_gb", "gpus"]
    assert run.outcomes == ["rejected: too large for any host", "rejected: too large for any host", "completed"]


def test_a_disk_that_nobody_asks_for_is_a_resource_all_the_same() -> None:
    work = build([make_vm(0, 1)], make_fleet(make_hosts(disk=50)))
    assert [each.name for each in work.resources] == ["vcpus", "memory_mb", "disk_gb"]


# ---------------------------------------------------------------- groups


def test_groups_ask_what_their_rows_say_or_else_what_the_scenario_says() -> None:
    rows = [
        make_vm(0, 1, group="x", group_policy="affinity"),
        make_vm(1, 1, group=None, group_policy="affinity"),
        make_vm(2, 1, group="y", group_policy=None),
        make_vm(3, 1, group="x", group_policy="affinity"),
    ]
    work = build(rows)
    assert work.group.tolist() == [0, -1, -1, 0]
    assert work.groups == (ServerGroup("x", "affinity"),)
    work = build(rows, group_policy="soft-anti-affinity")
    assert work.group.tolist() == [0, -1, 1, 0]
    assert work.groups == (ServerGroup("x", "affinity"), ServerGroup("y", "soft-anti-affinity"))


def test_groups_of_a_trace_without_policies_ask_nothing_unless_the_scenario_says_what() -> None:
    rows = [make_vm(0, 1, group="x"), make_vm(1, 1, group="x")]
    assert build(rows).group.tolist() == [-1, -1]
    assert build(rows).groups == ()
    assert build(rows, group_policy="affinity").groups == (ServerGroup("x", "affinity"),)
    assert build([make_vm(0, 1)], group_policy="affinity").group.tolist() == [-1]


def test_groups_may_be_numbered() -> None:
    frame = make_frame([make_vm(0, 1), make_vm(1, 1), make_vm(2, 1)]).assign(group=[7, 8, 7])
    work = build_workload(frame, make_fleet(), group_policy="affinity")
    assert work.group.tolist() == [0, 1, 0]
    assert [group.id for group in work.groups] == ["7", "8"]


# ---------------------------------------------------------------- what is left out


def test_vms_that_come_after_the_horizon_or_are_gone_before_the_start_are_left_out_with_a_note() -> None:
    rows = [make_vm(-20, 10, 2), make_vm(-20, 20, 4), make_vm(-20, 21, 1), make_vm(-5, FOREVER), make_vm(0, 0)]
    rows += [make_vm(50, 1), make_vm(51, 1, 3)]
    work = build(rows, horizon_s=50)
    assert work.arrival_s.tolist() == [-20, -5, 0, 50]
    assert work.frame["vm_id"].tolist() == [2, 3, 4, 5]
    assert work.frame.index.tolist() == [0, 1, 2, 3]
    assert [dict(shape.resources)["VCPU"] for shape in work.shapes] == [1]
    assert work.notes == (
        "1 VMs arrive after the horizon and are left out", "2 VMs are gone before the run starts and are left out",
    )  # fmt: skip


@pytest.mark.parametrize("rows", [[], [make_vm(9, 1)]])
def test_a_trace_of_which_nothing_is_left_is_an_empty_workload(rows: list[dict]) -> None:
    work = build(rows, horizon_s=5)
    assert (len(work), work.shapes, work.groups, work.shape.dtype) == (0, (), (), np.int32)
    assert scales(work) == {"VCPU": 1, "MEMORY_MB": 1}


# ---------------------------------------------------------------- demands per machine (Azure Packing)


VARIANTS = pd.DataFrame(
    [
        ("small", "0", 0.25, 0.125, 0.0, 0.1, 0.01),
        ("small", "1", 0.1, 0.1, 0.0, 0.1, 0.01),
        ("large", "1", 0.5, 0.5, 0.0, 0.1, 0.01),
        ("other", "7", 0.5, 0.5, 0.0, 0.1, 0.01),
    ],
    columns=["flavor", "machine", "core", "memory", "hdd", "ssd", "nic"],
)  # fmt: skip


def packing(*flavors: str, fleet: Fleet) -> Workload:
    rows = [make_vm(0, 10, math.nan, math.nan, flavor=flavor) for flavor in flavors]
    return build_workload(make_frame(rows), fleet, variants=VARIANTS)


def test_a_demand_per_machine_is_its_fraction_of_the_host_type_that_the_trace_calls_so() -> None:
    fleet = make_fleet(
        make_hosts(1, 16, name="old", memory=64000, machine="0"),
        make_hosts(1, 40, name="new", memory=256000, machine=1, resources={"CUSTOM_SSD": 1000}),
    )
    work = packing("small", "large", fleet=fleet)
    small, large = work.shapes
    assert [(v.trait, dict(v.resources)) for v in small.variants] == [
        ("CUSTOM_MACHINE_0", {"VCPU": 4, "MEMORY_MB": 8000}),
        ("CUSTOM_MACHINE_1", {"VCPU": 4, "MEMORY_MB": 25600, "CUSTOM_SSD": 100}),
    ]
    assert [v.trait for v in large.variants] == ["CUSTOM_MACHINE_1"]
    assert (small.resources, small.name) == ((), "small")
    assert [work.memory_mb(vm) for vm in (0, 1)] == [8000, 128000]
    assert [each.name for each in work.resources] == ["vcpus", "memory_mb", "ssd"]


def test_a_fraction_of_a_machine_that_is_no_whole_unit_is_rounded_to_one() -> None:
    fleet = make_fleet(make_hosts(1, 3, name="m", memory=1000, machine="1"))
    work = packing("small", fleet=fleet)
    pool = Pool(work.classes)
    fleet.enter(pool, 0)
    amounts = work.classes.amounts(dict(work.shapes[0].variants[0].resources))
    assert work.classes.values(amounts) == {"VCPU": pytest.approx(0.3), "MEMORY_MB": 100}


def test_a_zone_and_gpu_models_survive_the_rounding_of_demands() -> None:
    fleet = make_fleet(make_hosts(1, 3, name="m", memory=1000, machine="1", zone="a", gpus=1, gpu_model="T4"))
    frame = make_frame([make_vm(0, 1, flavor="small", zone="a", gpus=1, gpu_models="T4")])
    (shape,) = build_workload(frame, fleet, variants=VARIANTS).shapes
    assert (shape.zone, shape.devices, shape.any_traits) == ("a", Devices((("PGPU", 1.0),)), (("CUSTOM_GPU_T4",),))


@pytest.mark.parametrize(("machine", "flavor", "said"), [
    (None, "small", "no host type of the fleet says which one it is; add 'machine:' to the types; the trace has"),
    ("5", "small", "no demand of the trace is for a machine of the fleet, which has 5; the trace has machines 0, 1, 7"),
    ("0", "large", "flavor 'large' of the trace has no demand on any machine of the fleet"),
])  # fmt: skip
def test_demands_that_no_machine_of_the_fleet_answers_are_refused(machine: Any, flavor: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        packing(flavor, fleet=make_fleet(make_hosts(1, 4, machine=machine)))


def test_demands_per_machine_are_claimed_by_the_machine_a_vm_lands_on() -> None:
    fleet = make_fleet(
        make_hosts(1, 16, name="old", memory=64000, machine="0"),
        make_hosts(1, 40, name="new", memory=40000, machine="1"),
    )
    rows = [make_vm(0, 10, math.nan, math.nan, flavor=flavor) for flavor in ["large", "large", "large", *["small"] * 5]]
    work = build_workload(make_frame(rows), fleet, variants=VARIANTS)
    engine = Engine(fleet, work, load_policy("first-fit"), horizon_s=5)
    record = engine.run()
    assert record.stays.host.tolist() == [1, 1, 0, 0, 0, 0]  # two halves of the new one; four quarters of the old one
    assert [record.reasons[code] for code in record.reason.tolist()][2] == "no room: VCPU, MEMORY_MB"
