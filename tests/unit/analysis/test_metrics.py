from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sundog.analysis import Results
from sundog.analysis.fragmentation import request_mix, sample
from sundog.analysis.metrics import figures, mix_table, rejections_by
from sundog.analysis.timeline import build_timeline
from sundog.analysis.timeseries import instants, time_series
from tests.unit.analysis.folders import make_event, make_host, make_stay, make_vm, write_result


def measure(folder: Path) -> dict[str, Any]:
    results = Results.load(folder)
    samples = sample(results, request_mix(results), instants(results.run.horizon_s))
    return {figure.key: figure.value for figure in figures(results, build_timeline(results), samples)}


VMS = [
    make_vm(1, 0.0, end_s=50.0, boot_s=3.0),
    make_vm(2, 10.0, end_s=30.0, boot_s=5.0, memory_mb=512.0, flavor="m2"),
    make_vm(4, 16.0, "running", start_s=20.0, boot_s=7.0, vcpus=2.0, flavor="s1"),
    make_vm(5, 25.0, "rejected", vcpus=16.0, flavor="xl", reason="no host is that large"),
]
STAYS = [
    make_stay(1, "h0", 0.0, 50.0),
    make_stay(2, "h0", 10.0, 30.0, memory_mb=512.0),
    make_stay(4, "h1", 20.0, None, vcpus=2.0),
]


@pytest.fixture
def by_hand(tmp_path: Path) -> dict[str, Any]:
    """Two hosts of 8 vCPU. vCPUs: 4 until 10 s, 8 until 20, 10 until 30, 6 until 50, 2 until 100."""
    return measure(write_result(tmp_path, vms=VMS, stays=STAYS))


def test_allocation_is_weighted_by_time(by_hand):
    assert by_hand["allocation.vcpus.mean"] == (10 * 4 + 10 * 8 + 10 * 10 + 20 * 6 + 50 * 2) / 100
    assert by_hand["allocation.vcpus.peak"] == 10.0
    assert by_hand["allocation.vcpus.end"] == 2.0
    assert by_hand["capacity.vcpus.mean"] == 16.0
    assert by_hand["allocation.vcpus.mean_share"] == pytest.approx(0.275, abs=1e-15)
    assert by_hand["allocation.vcpus.peak_share"] == 0.625
    assert by_hand["allocation.vcpus.end_share"] == 0.125
    # memory: 256 until 10, 768 until 20, 1024 until 30, 512 until 50, 256 until 100
    assert by_hand["allocation.memory_mb.mean"] == (10 * 256 + 10 * 768 + 10 * 1024 + 20 * 512 + 50 * 256) / 100


def test_packing_density_is_of_hosts_with_vms_and_the_others_are_empty(by_hand):
    # h0 has VMs until 50 s, h1 from 20 s on
    assert by_hand["packing.vcpus.density"] == pytest.approx(
        (10 * 4 / 8 + 10 * 8 / 8 + 10 * 10 / 16 + 20 * 6 / 16 + 50 * 2 / 8) / 100
    )
    assert by_hand["hosts.empty_mean"] == 0.7
    assert by_hand["hosts.empty_min"] == 0.0
    assert by_hand["hosts.empty_max"] == 1.0
    assert by_hand["vms.running_mean"] == (10 * 1 + 10 * 2 + 10 * 3 + 20 * 2 + 50 * 1) / 100
    assert by_hand["vms.running_peak"] == 3.0
    assert by_hand["vms.running_end"] == 1.0


def test_requests_add_up_and_rejections_have_shares(by_hand):
    assert [by_hand[f"requests.{name}"] for name in ("total", "completed", "running", "rejected", "lost")] == [
        4,
        2,
        1,
        1,
        0,
    ]
    assert by_hand["requests.rejected_share"] == 0.25
    assert by_hand["requests.per_hour"] == 4 / (100 / 3600)
    assert by_hand["rejections.vcpus.amount_share"] == 16 / 26
    assert math.isnan(by_hand["rejections.vcpus.hours_share"])  # lifetimes are not in the table


def test_resource_hours_need_lifetimes_and_are_cut_at_the_end_of_the_run(tmp_path):
    lives = [50.0, 20.0, None, 1000.0]  # the third outlives the trace: 84 s are left; of the last, 75 s
    vms = [vm | {"lifetime_s": life} for vm, life in zip(VMS, lives, strict=True)]
    found = measure(write_result(tmp_path, vms=vms, stays=STAYS))
    asked = [4 * 50, 4 * 20, 2 * 84, 16 * 75]
    assert found["rejections.vcpus.hours_share"] == pytest.approx(asked[3] / sum(asked))


def test_delays_are_quantiles_over_the_requests(by_hand):
    assert by_hand["boot.p50"] == 5.0
    assert by_hand["boot.p90"] == pytest.approx(6.6)
    assert by_hand["boot.mean"] == 5.0
    assert by_hand["wait.mean"] == pytest.approx(4 / 3)
    assert by_hand["wait.p50"] == 0.0
    assert by_hand["lifetime.mean"] == 35.0


def test_the_window_leaves_the_warm_up_out(tmp_path):
    found = measure(write_result(tmp_path, vms=VMS, stays=STAYS, warmup_s=20.0))
    assert found["requests.total"] == 1  # only the rejected one arrived at 20 s or later
    assert found["requests.earlier"] == 3
    assert found["requests.rejected_share"] == 1.0
    assert found["allocation.vcpus.mean"] == (10 * 10 + 20 * 6 + 50 * 2) / 80
    assert found["hosts.empty_mean"] == 50 / 80
    assert math.isnan(found["boot.p50"])


def test_a_run_that_ends_in_its_warm_up_has_no_figures_over_time(tmp_path):
    found = measure(write_result(tmp_path, vms=VMS, stays=STAYS, warmup_s=200.0, partial=True))
    assert found["requests.total"] == 0
    assert math.isnan(found["allocation.vcpus.mean"])
    assert math.isnan(found["stranded.vcpus.mean"])
    assert math.isnan(found["availability.vms"])


def test_shares_are_of_the_capacity_in_service_at_the_instant(tmp_path):
    vms = [
        make_vm(1, 0.0, "running", evacuations=1, downtime_s=5.0),
        make_vm(2, 0.0, "lost", end_s=40.0, downtime_s=0.0, reason="evacuation found no host"),
    ]
    stays = [
        make_stay(1, "h1", 0.0, 40.0),
        make_stay(2, "h1", 0.0, 40.0),
        make_stay(1, "h0", 45.0, None, cause="evacuation"),
    ]
    events = [make_event(0.0, "h0", "added"), make_event(40.0, "h1", "failed"), make_event(60.0, "h1", "repaired")]
    found = measure(write_result(tmp_path, vms=vms, stays=stays, events=events))
    assert found["capacity.vcpus.mean"] == (80 * 16 + 20 * 8) / 100
    # 8 of 16 until 40 s, nothing until 45, 4 of 8 until 60, 4 of 16 until 100
    assert found["allocation.vcpus.mean_share"] == pytest.approx((40 * 0.5 + 15 * 0.5 + 40 * 0.25) / 100)
    assert found["hosts.up_mean"] == 1.8
    assert found["hosts.up_min"] == 1.0
    assert found["hosts.availability"] == 0.9
    assert found["hosts.failures"] == 1
    assert found["evacuations.success"] == 1
    assert found["evacuations.lost"] == 1
    assert found["evacuations.success_share"] == 0.5
    # lives of 100 s and 40 s, 5 s of them down
    assert found["availability.vms"] == pytest.approx(135 / 140)
    assert found["availability.disturbed"] == 1


def test_downtime_before_the_window_does_not_count(tmp_path):
    vms = [make_vm(1, 0.0, "running", evacuations=2, downtime_s=20.0)]
    stays = [
        make_stay(1, "h0", 0.0, 20.0),
        make_stay(1, "h1", 20.0, 60.0, cause="evacuation"),
        make_stay(1, "h0", 60.0, None, cause="evacuation"),
    ]
    found = measure(write_result(tmp_path, vms=vms, stays=stays, warmup_s=50.0))
    assert found["availability.downtime"] == 10.0
    assert found["availability.vms"] == 0.8
    assert found["evacuations.success"] == 1


def test_a_migrating_vm_holds_two_places_and_is_one_vm(tmp_path):
    vms = [make_vm(1, 0.0, end_s=60.0, migrations=1)]
    stays = [make_stay(1, "h0", 0.0, 30.0), make_stay(1, "h1", 20.0, 60.0, cause="migration")]
    found = measure(write_result(tmp_path, vms=vms, stays=stays))
    assert found["allocation.vcpus.peak"] == 8.0
    assert found["vms.running_peak"] == 1.0
    assert found["vms.running_mean"] == 0.6
    assert found["migrations.total"] == 1


def test_a_disabled_host_is_up_but_not_empty_and_an_added_one_counts_from_then(tmp_path):
    hosts = [make_host("h0"), make_host("h1", added_s=50.0)]
    events = [
        make_event(20.0, "h0", "disabled"),
        make_event(30.0, "h0", "disabled"),
        make_event(40.0, "h0", "enabled"),
        make_event(50.0, "h1", "added"),
        make_event(90.0, "h1", "removed"),
    ]
    found = measure(write_result(tmp_path, vms=[], stays=[], hosts=hosts, events=events))
    assert found["hosts.up_mean"] == (100 + 40) / 100
    assert found["hosts.disabled_mean"] == 0.2
    assert found["hosts.empty_mean"] == (80 + 40) / 100
    assert found["hosts.availability"] == 1.0
    assert found["capacity.vcpus.mean"] == 8 * 1.4
    assert math.isnan(found["requests.rejected_share"])


def test_free_capacity_is_stranded_where_the_commonest_request_does_not_fit(tmp_path):
    # Both hosts have 2 vCPU left; h0 has memory, h1 has none. Of three requests two ask 2 vCPU, one asks 4.
    vms = [
        make_vm(1, 0.0, "running", vcpus=2.0, memory_mb=100.0, flavor="small"),
        make_vm(2, 0.0, "running", vcpus=2.0, memory_mb=100.0, flavor="small"),
        make_vm(3, 0.0, "running", vcpus=4.0, memory_mb=100.0, flavor="big"),
    ]
    stays = [
        make_stay(1, "h0", 0.0, None, vcpus=6.0, memory_mb=0.0),
        make_stay(2, "h1", 0.0, None, vcpus=3.0, memory_mb=1000.0),
        make_stay(3, "h1", 0.0, None, vcpus=3.0, memory_mb=0.0),
    ]
    found = measure(write_result(tmp_path, vms=vms, stays=stays))
    assert found["stranded.vcpus.mean"] == 2.0  # those of h1
    assert found["stranded.vcpus.share_of_free"] == 0.5
    assert found["stranded.vcpus.share_of_capacity"] == 2 / 16
    assert found["stranded.memory_mb.mean"] == 24.0
    # small does not fit h1; big fits neither: 2/3 of 2 vCPU + 1/3 of 4 vCPU
    assert found["fragmentation.vcpus.mean"] == pytest.approx(2 / 3 * 2 + 1 / 3 * 4)
    assert found["fragmentation.memory_mb.mean"] == pytest.approx(2 / 3 * 24 + 1 / 3 * (24 + 1024))


def test_the_request_mix_is_the_commonest_shapes_with_ties_in_order_of_arrival(tmp_path):
    sizes = [1.0, 2.0, 2.0, 3.0, 1.0, 2.0]
    vms = [make_vm(i, float(i), "rejected", vcpus=size, flavor="") for i, size in enumerate(sizes)]
    results = Results.load(write_result(tmp_path, vms=vms, stays=[]))
    mix = request_mix(results, covered=0.8)
    assert mix.names == ("2 vCPU, 256 MiB", "1 vCPU, 256 MiB")
    assert mix.weight.tolist() == [0.6, 0.4]
    assert mix.covered == 5 / 6
    assert [row["requests"] for row in mix_table(results, mix)] == [3, 2]


def test_rejections_are_listed_by_name_most_first(tmp_path):
    vms = [
        make_vm(1, 0.0, "rejected", flavor="a", reason="full"),
        make_vm(2, 1.0, "rejected", flavor="b", reason="full"),
        make_vm(3, 2.0, "rejected", flavor="b", reason="too large"),
        make_vm(4, 3.0, "running", flavor="b"),
    ]
    results = Results.load(write_result(tmp_path, vms=vms, stays=[make_stay(4, "h0", 3.0, None)]))
    by_reason = rejections_by(results, results.vms.reason)
    assert [(row["name"], row["requests"]) for row in by_reason] == [("full", 2), ("too large", 1)]
    by_flavor = rejections_by(results, results.vms.flavor)
    assert [(row["name"], row["rejected_share"]) for row in by_flavor] == [("b", 2 / 3), ("a", 1.0)]
    assert by_flavor[0]["vcpus_share"] == 0.5


def test_the_time_series_agrees_with_the_steps_and_counts_rejections(tmp_path):
    results = Results.load(write_result(tmp_path, vms=VMS, stays=STAYS))
    samples = sample(results, request_mix(results), instants(results.run.horizon_s))
    table = time_series(results, build_timeline(results), samples)
    assert table.num_rows == 501
    times = np.array(table["time_s"])
    allocated = np.array(table["allocated_vcpus"])
    assert allocated[times == 0.0].tolist() == [4.0]
    assert allocated[times == 20.0].tolist() == [10.0]
    assert allocated[-1] == 2.0
    assert np.array(table["rejected_total"])[[0, -1]].tolist() == [0, 1]
    free = np.array(table["free_vcpus"])
    assert np.allclose(free + allocated, np.array(table["capacity_vcpus"]))
