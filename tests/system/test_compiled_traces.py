"""On every real trace the compiled engine leaves behind what the general one does, VM for VM."""

from __future__ import annotations

from pathlib import Path

import pytest

from sundog.scenarios.load import load_scenario
from sundog.scenarios.run import prepare
from sundog.sim.engine import Engine
from sundog.sim.replay import CompiledEngine
from tests.unit.sim.worlds import fingerprint

FAULTS = ["faults.hosts={mtbf: 5 d, mttr: 2 h}", "on_full={wait: 1 h}"]
CASES = {
    "huawei, best-fit": ("huawei-east-1", "huawei_east_1/huawei_east_1_completed.parquet", ["policy=best-fit"]),
    "huawei, full, failures, waiting, nova": (
        "huawei-east-1",
        "huawei_east_1/huawei_east_1_completed.parquet",
        ["policy=nova", "fleet.0.count=60", "workload.trace.limit=25000", *FAULTS],
    ),
    "azure v1, dot-product": (
        "azure-v1",
        "azure_v1_2017_arrivals",
        [
            "policy=dot-product",
            "workload.trace.limit=30000",
            "fleet.0.count=150",
        ],
    ),
    "eucalyptus DS1": ("eucalyptus", "eucalyptus/DS1-trace.txt", []),
    "eucalyptus DS2, failures": (
        "eucalyptus",
        "eucalyptus/DS2-trace.txt",
        ["policy=first-fit", "fleet.0.count=7", *FAULTS],
    ),
    "eucalyptus DS3": ("eucalyptus", "eucalyptus/DS3-trace.txt", ["fleet.0.count=7"]),
    "openb, GPUs": ("openb-gpu", "alibaba_openb_gpu_v2023/openb_pod_list_default.csv", []),
    "openb, GPUs, failures": (
        "openb-gpu",
        "alibaba_openb_gpu_v2023/openb_pod_list_default.csv",
        ["policy=best-fit", *FAULTS],
    ),
}


@pytest.mark.slow
@pytest.mark.trace
@pytest.mark.parametrize("case", CASES)
def test_both_engines_play_a_trace_alike(case: str, traces: Path) -> None:
    name, path, settings = CASES[case]
    study = prepare(load_scenario(name, [f"workload.trace.path={traces / path}", *settings], seed=1))
    general, compiled = (study.engine(kind=kind).run() for kind in (Engine, CompiledEngine))
    assert (compiled.events, compiled.placements, compiled.reached_s) == (
        general.events,
        general.placements,
        general.reached_s,
    )
    assert fingerprint(compiled) == fingerprint(general)
