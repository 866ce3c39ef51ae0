"""Whole studies: the real traces from file to audited results, and the quickstart repeated to the byte."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from sundog.analysis import Results, check_conservation
from sundog.scenarios.load import load_scenario
from sundog.scenarios.run import prepare, run_study

CASES = {
    "huawei": ("huawei-east-1", "huawei_east_1/huawei_east_1_completed.parquet", []),
    "huawei, full and waiting": (
        "huawei-east-1",
        "huawei_east_1/huawei_east_1_completed.parquet",
        ["fleet.0.count=50", "on_full={wait: 30 min}", "faults={hosts: {mtbf: 30 d, mttr: 6 h}}", "policy=nova"],
    ),
    "huawei csv": ("huawei-east-1", "huawei_east_1/Huawei-East-1-lt.first20k.csv", ["policy=worst-fit"]),
    "eucalyptus DS1": ("eucalyptus", "eucalyptus/DS1-trace.txt", []),
    "eucalyptus DS2": ("eucalyptus", "eucalyptus/DS2-trace.txt", ["fleet.0.count=7", "fleet.0.type.vcpus=12"]),
    "eucalyptus DS3": ("eucalyptus", "eucalyptus/DS3-trace.txt", ["fleet.0.count=7", "fleet.0.type.vcpus=8"]),
    "openb": ("openb-gpu", "alibaba_openb_gpu_v2023", []),
    "openb with GPU models": (
        "openb-gpu",
        "alibaba_openb_gpu_v2023",
        ["workload.trace.options={pods: gpuspec33, running: outlives}", "policy=best-fit"],
    ),
    "azure, all of it": ("azure-v1", "azure_v1_2017_arrivals", []),
    "azure batches spread": (
        "azure-v1",
        "azure_v1_2017_arrivals",
        [
            "workload.trace.limit=40000",
            "fleet.0.count=400",
            "workload.trace.group_policy=anti-affinity",
            "policy=first-fit",
        ],
    ),
}


@pytest.mark.trace
@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_every_vm_of_a_real_trace_is_accounted_for(case: str, traces: Path, tmp_path: Path) -> None:
    scenario, path, options = CASES[case]
    study = prepare(load_scenario(scenario, [f"workload.trace.path={traces / path}", *options]))
    folder = run_study(study, tmp_path / "out")

    books = check_conservation(Results.load(folder))
    assert not books.violations, books.violations[:5]
    vms = pd.read_parquet(folder / "vms.parquet")
    counts = vms["outcome"].value_counts()
    assert counts.sum() == len(vms) == len(study.workload)
    assert not counts.get("none", 0)


@pytest.mark.trace
@pytest.mark.slow
def test_google_machine_events_take_hosts_down_and_bring_them_back(traces: Path, tmp_path: Path) -> None:
    events = traces / "google2011_machine_events" / "google2011_machine_events.parquet"
    options = [
        "horizon=2 d",
        "maintenance=[]",
        f"faults={{machine_events: {{path: {events}}}}}",
    ]
    folder = run_study(prepare(load_scenario("maintenance-week", options)), tmp_path / "out")

    assert not check_conservation(Results.load(folder)).violations
    happened = pd.read_parquet(folder / "events.parquet")["event"].value_counts()
    assert happened["failed"] > 0
    assert 0 <= happened["failed"] - happened["repaired"] <= 120


def test_azure_packing_asks_of_each_machine_its_own_fraction(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "packing.sqlite")) as base, base:
        base.execute("create table vmType (id, vmTypeId, machineId, core, memory, hdd, ssd, nic)")
        base.execute("create table vm (vmId, tenantId, vmTypeId, priority, starttime, endtime)")
        rows = [
            (0, 7, 1, 0.5, 0.25, None, 0.1, 0.5),
            (1, 7, 2, 0.25, 0.125, None, 0.05, 0.25),
            (2, 8, 2, 0.75, 0.5, 0, 0, 0.1),
        ]
        base.executemany("insert into vmType values (?,?,?,?,?,?,?,?)", rows)
        vms = [
            (1, 1, 7, 0, -1.0, 1.0),
            (2, 1, 7, 1, 0.0, None),
            (3, 2, 8, 0, 0.1, 0.2),
            (4, 2, 7, 0, 0.1, 2.0),
            (5, 2, 7, 0, 0.1, 2.0),
        ]
        base.executemany("insert into vm values (?,?,?,?,?,?)", vms)
    (tmp_path / "s.yaml").write_text(
        """
name: packing
horizon: 3 d
fleet:
  - {type: {name: old, vcpus: 40, memory: 200 GiB, machine: 1, resources: {CUSTOM_NIC: 1}}, count: 1}
  - {type: {name: new, vcpus: 64, memory: 512 GiB, machine: 2, resources: {CUSTOM_NIC: 1}}, count: 1}
workload:
  trace: {format: azure-packing, path: packing.sqlite}
policy: first-fit
"""
    )
    folder = run_study(prepare(load_scenario(tmp_path / "s.yaml")), tmp_path / "out")

    stays = pd.read_parquet(folder / "placements.parquet").set_index("vm_id")
    assert stays["host"].astype(str).to_dict() == {1: "old-0", 2: "old-0", 3: "new-0", 4: "new-0"}
    on_old = stays[stays["host"].astype(str) == "old-0"]
    assert set(on_old["vcpus"]) == {20.0}
    assert set(on_old["memory_mb"]) == {51200.0}
    assert set(on_old["nic"]) == {0.5}
    assert stays.loc[3, "vcpus"] == 48.0
    assert stays.loc[3, "memory_mb"] == 262144.0
    assert stays.loc[4, "vcpus"] == 16.0
    assert not check_conservation(Results.load(folder)).violations


@pytest.mark.slow
@pytest.mark.system
def test_quickstart_gives_the_same_bytes_under_any_hash_seed_and_others_from_another_seed(tmp_path: Path) -> None:
    runs = {"first": ("0", 1), "second": ("1", 1), "other": ("0", 2)}
    for name, (hash_seed, seed) in runs.items():
        command = [sys.executable, "-c", _RUN, str(seed), str(tmp_path / name)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": hash_seed})

    def table(run: str, name: str) -> pd.DataFrame:
        return pd.read_parquet(tmp_path / run / f"{name}.parquet")

    for name in ("vms", "placements", "hosts", "events"):
        pd.testing.assert_frame_equal(table("first", name), table("second", name))
        assert (tmp_path / "first" / f"{name}.parquet").read_bytes() == (
            tmp_path / "second" / f"{name}.parquet"
        ).read_bytes()
    assert not table("first", "placements").equals(table("other", "placements"))


_RUN = """
import sys
from pathlib import Path
from sundog.scenarios.load import load_scenario
from sundog.scenarios.run import prepare, run_study
run_study(prepare(load_scenario("quickstart", seed=int(sys.argv[1]))), Path(sys.argv[2]))
"""
