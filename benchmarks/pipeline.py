"""CPU seconds and peak memory of each stage of a study: reading, building, entering, the run, results, analysis.

    python benchmarks/pipeline.py azure [--traces ../shared/traces] [--hosts 20000] [--limit N]
    python benchmarks/pipeline.py million [--hosts 100000]

``azure`` plays the whole Azure V1 trace, best-fit; ``million`` plays 1,000,000 VMs of 20 sizes. Both do all that
``sundog run`` does, result folder and report included, in one process. Prints JSON: seconds of user and system time of
the process, and the peak memory of the process up to the end of the stage in MiB.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SEED = 1
MILLION = 1_000_000
SIZES = [(cpus, cpus * ratio * 1024.0) for cpus in (1, 2, 4, 8, 16) for ratio in (1, 2, 4, 8)]


class Stages:
    """What each stage took, in the order in which they ended."""

    def __init__(self) -> None:
        self.taken: dict[str, dict[str, float]] = {}
        self._last = 0.0

    def end(self, name: str) -> None:
        """The stage ``name`` ended now; a name that comes again adds up."""
        now = time.process_time()
        before = self.taken.get(name, {"cpu_s": 0.0})["cpu_s"]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        self.taken[name] = {"cpu_s": round(before + now - self._last, 3), "peak_mib": round(peak, 1)}
        self._last = now

    def ends(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, at whose end the stage ``name`` ends."""

        def measured(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            self.end(name)
            return result

        return measured


def million_vms(path: Path) -> None:
    """A trace of 1,000,000 VMs of 20 sizes over 30 days that live for 12 hours on average."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(SEED)
    size = rng.integers(len(SIZES), size=MILLION)
    columns = {
        "vm_id": np.arange(MILLION),
        "arrival_s": np.sort(rng.uniform(0, 30 * 86400.0, MILLION)),
        "lifetime_s": rng.exponential(12 * 3600.0, MILLION),
        "vcpus": np.array([cpus for cpus, _ in SIZES], dtype=np.float64)[size],
        "memory_mb": np.array([memory for _, memory in SIZES])[size],
    }
    pq.write_table(pa.table(columns), path)


def measure(options: list[str], stages: Stages, folder: Path) -> dict[str, Any]:
    """Play the scenario and say what it took, by stage."""
    import sundog.cli.main  # noqa: F401 - all that the command imports
    from sundog.analysis import analyse
    from sundog.scenarios import run
    from sundog.scenarios.load import load_scenario
    from sundog.sim.engine import Engine

    stages.end("imports")
    run._trace = stages.ends("read", run._trace)
    run.start_faults = stages.ends("engine", run.start_faults)
    Engine._enter = stages.ends("enter", Engine._enter)  # type: ignore[method-assign]
    Engine.run = stages.ends("run", Engine.run)  # type: ignore[method-assign]
    study = [run.prepare(load_scenario("azure-v1", options, seed=SEED))]
    counts = {"hosts": len(study[0].fleet), "vms": len(study[0].workload)}
    stages.end("build")

    def finish(folder: Path) -> None:
        stages.end("results")
        counts["rejected"] = analyse(folder)["figures"]["requests.rejected"]["value"]
        stages.end("analysis")

    run.run_study(study.pop(), folder / "out", finish=finish)
    counts["bytes"] = sum(each.stat().st_size for each in (folder / "out").rglob("*") if each.is_file())
    stages.end("closing")
    total = {
        "cpu_s": round(time.process_time(), 3),
        "peak_mib": max(each["peak_mib"] for each in stages.taken.values()),
    }
    return {**counts, "stages": stages.taken, "total": total}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=("azure", "million"))
    parser.add_argument("--traces", type=Path, default=HERE / ".." / ".." / "shared" / "traces")
    parser.add_argument("--hosts", type=int)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--policy", default="best-fit")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:
        million_vms(given.make)
        return
    with tempfile.TemporaryDirectory() as folder:
        options = [f"policy={given.policy}"]
        if given.case == "azure":
            options += [f"fleet.0.count={given.hosts or 20_000}"]
            options += [f"workload.trace.path={given.traces / 'azure_v1_2017_arrivals'}"]
        else:
            import subprocess
            import sys

            path = Path(folder) / "million.parquet"
            subprocess.run([sys.executable, __file__, "million", "--make", str(path)], check=True)
            options += [f"fleet.0.count={given.hosts or 100_000}", f"workload.trace.path={path}"]
            options += ["workload.trace.format=normalised"]
        if given.limit:
            options += [f"workload.trace.limit={given.limit}"]
        print(json.dumps(measure(options, Stages(), Path(folder)), indent=2))


if __name__ == "__main__":
    main()
