"""The published GPU allocation of six policies: within one point, and in the same order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.proofs.fgd import PUBLISHED, allocated, mean


@pytest.mark.trace
@pytest.mark.slow
def test_one_seed_is_as_far_from_the_published_means_as_seeds_are_from_each_other(traces: Path) -> None:
    found = {name: allocated(traces, name, 1) for name in PUBLISHED}
    for name, (_, _, published, deviation) in PUBLISHED.items():
        assert abs(found[name] - published) < 4 * max(deviation, 0.2), (name, found)
    assert found["Random"] < found["DotProd"] < found["BestFit"] < found["FGD"]
    assert max(found["GpuClustering"], found["GpuPacking"]) < found["BestFit"]


@pytest.mark.trace
@pytest.mark.slow
def test_the_gpus_asked_for_are_130_percent_and_only_gpu_nodes_are_there(traces: Path) -> None:
    from sundog.scenarios.load import load_scenario
    from sundog.scenarios.run import prepare

    path = traces / "alibaba_openb_gpu_v2023"
    study = prepare(load_scenario("openb-fgd", [f"workload.trace.path={path}"]))
    gpus = sum(study.fleet.type_of(host).gpus for host in range(len(study.fleet)))
    assert (len(study.fleet), gpus) == (1213, 6212)
    asked = 0.0
    for code in study.workload.shape.tolist():
        devices = study.workload.shapes[code].devices
        asked += dict(devices.resources)["PGPU"] * devices.count if devices else 0.0
    assert 1.3 * 6212 - 8 < asked <= 1.3 * 6212


@pytest.mark.trace
@pytest.mark.proof
@pytest.mark.timeout(1500)
def test_ten_seeds_give_the_published_table(traces: Path) -> None:
    found = {name: mean(traces, name, range(1, 11)) for name in PUBLISHED}
    for name, (_, _, published, _) in PUBLISHED.items():
        assert abs(found[name] - published) < 0.5, (name, found)
    assert found["Random"] < found["DotProd"] < min(found["GpuClustering"], found["GpuPacking"])
    assert max(found["GpuClustering"], found["GpuPacking"]) < found["BestFit"] < found["FGD"]
