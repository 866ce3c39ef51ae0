"""The published comparison of GPU policies: openb, pods in random order until 130 % of the GPUs are asked for.

Source: Weng et al., "Beware of Fragmentation" (USENIX ATC 2023), and the results that come with its simulator
(hkust-adsl/kubernetes-scheduler-simulator, analysis_allo_discrete.csv): the mean of ten seeds at 130 % of arrivals.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sundog.scenarios.load import load_scenario
from sundog.scenarios.run import prepare

PUBLISHED: dict[str, tuple[str, dict[str, Any], float, float]] = {
    "Random": ("gpu-random", {}, 87.47, 0.32),
    "DotProd": ("gpu-dot-product", {"levels": 100}, 90.85, 0.20),
    "GpuClustering": ("gpu-clustering", {}, 91.88, 0.62),
    "GpuPacking": ("gpu-packing", {}, 92.00, 0.54),
    "BestFit": ("gpu-best-fit", {"levels": 100}, 93.08, 0.13),
    "FGD": ("fgd", {"levels": 100}, 95.39, 0.08),
}
"""Their name: ours, its parameters, mean and standard deviation of the GPUs allocated over their ten seeds, in %."""


def policy_option(name: str) -> str:
    """The option that sets the policy called ``name`` by them."""
    own, parameters, _, _ = PUBLISHED[name]
    inside = "".join(f", {key}: {value}" for key, value in parameters.items())
    return f"policy={{name: {own}{inside}}}"


@lru_cache(maxsize=512)
def allocated(traces: Path, name: str, seed: int, *options: str) -> float:
    """Share of the GPUs allocated when all pods have come, in %."""
    path = traces / "alibaba_openb_gpu_v2023"
    given = [f"workload.trace.path={path}", policy_option(name), *options]
    study = prepare(load_scenario("openb-fgd", given, seed=seed))
    engine = study.engine()
    engine.run()
    column = engine.pool.classes.column("PGPU")
    return float(100 * engine.pool.used[column].sum() / engine.pool.capacity[column].sum())


def mean(traces: Path, name: str, seeds: range) -> float:
    """Mean over seeds."""
    return float(np.mean([allocated(traces, name, seed) for seed in seeds]))
