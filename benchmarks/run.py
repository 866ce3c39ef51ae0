"""Measure what the README's table says, and write it to ``benchmarks/results.json``.

    python benchmarks/run.py [--traces ../shared/traces] [--only NAME] [--repeats 3]

Each case runs in a process of its own, so that its peak memory is its own. CPU seconds are user and system time of the
process, without imports; machines are noisy, so each case runs several times and the median is told.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any

import engine

HERE = Path(__file__).parent
REPEATS = 3
SEED = 1


def huawei_per_event(traces: Path) -> dict[str, float]:
    """The whole Huawei trace on 300 hosts of 64 vCPU / 256 GiB, best-fit, one event at a time."""
    from sundog.scenarios.load import load_scenario
    from sundog.scenarios.run import prepare
    from sundog.sim.engine import Engine

    path = traces / "huawei_east_1" / "huawei_east_1_completed.parquet"
    loaded = load_scenario("huawei-east-1", [f"workload.trace.path={path}"], seed=SEED)
    begun = time.process_time()
    study = prepare(loaded)
    ready = time.process_time()
    record = study.engine(kind=Engine).run()
    done = time.process_time()
    return {
        "vms": len(record.outcome),
        "read_cpu_s": ready - begun,
        "run_cpu_s": done - ready,
        "total_cpu_s": done - begun,
        "events_per_s": record.events / (done - ready),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def pool_memory(traces: Path) -> dict[str, float]:
    """A pool of 100,000 hosts with six resource classes: all memory it holds, names included."""
    from sundog.core.pool import Inventory, Pool, ResourceClasses

    classes = ResourceClasses(["VCPU", "MEMORY_MB", "DISK_GB", "PCPU", "VGPU", "CUSTOM_NIC"])
    names = 100_000
    tracemalloc.start()
    pool = Pool(classes)
    stock = {
        "VCPU": Inventory(64, 0, 4.0),
        "MEMORY_MB": 262144,
        "DISK_GB": 2000,
        "PCPU": 8,
        "VGPU": 4,
        "CUSTOM_NIC": 100,
    }
    pool.add_providers([f"host-{i:06d}" for i in range(names)], stock, zone="az1", traits=["COMPUTE_NODE"])
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {"hosts": names, "held_mb": held / 1e6, "peak_mb": peak / 1e6, "columns_mb": pool.nbytes / 1e6}


def pool_claims(traces: Path) -> dict[str, float]:
    """Claims and releases straight on the pool: two classes, one provider each, 10,000 hosts."""
    from sundog.core.pool import Pool, ResourceClasses

    pool = Pool(ResourceClasses(["VCPU", "MEMORY_MB"]))
    pool.add_providers([f"h{i}" for i in range(10_000)], {"VCPU": 64, "MEMORY_MB": 262144})
    amounts = pool.classes.amounts({"VCPU": 2, "MEMORY_MB": 4096})
    count = 200_000
    begun = time.process_time()
    for consumer in range(count):
        pool.claim(consumer, ((consumer % 10_000, amounts),))
    middle = time.process_time()
    for consumer in range(count):
        pool.release(consumer)
    done = time.process_time()
    return {"claim_us": (middle - begun) / count * 1e6, "release_us": (done - middle) / count * 1e6}


def decisions(traces: Path) -> dict[str, float]:
    """Microseconds a placement (decision, claim and later release) by policy, at 300 and at 10,000 hosts."""
    from sundog.core.pool import Pool, ResourceClasses
    from sundog.core.scheduler import Request, Scheduler, load_policy, make_shape

    figures = {}
    for hosts in (300, 10_000):
        for name in ("first-fit", "best-fit", "dot-product", "nova"):
            pool = Pool(ResourceClasses(["VCPU", "MEMORY_MB"]))
            pool.add_providers([f"h{i}" for i in range(hosts)], {"VCPU": 64, "MEMORY_MB": 262144})
            scheduler = Scheduler(pool, load_policy(name), seed=SEED)
            asked = [Request(make_shape({"VCPU": size, "MEMORY_MB": size * 2048})) for size in (1, 2, 4, 8)]
            count, alive = 10_000, 3_000
            begun = time.process_time()
            for vm in range(count):
                scheduler.place(asked[vm % 4], vm)
                if vm >= alive:
                    scheduler.release(vm - alive)
            figures[f"{name}_{hosts}_us"] = (time.process_time() - begun) / count * 1e6
    return figures


def quickstart(traces: Path) -> dict[str, float]:
    """The quickstart scenario without its report: 2,000 hosts, a stationary Azure-like day."""
    from sundog.scenarios.load import load_scenario
    from sundog.scenarios.run import prepare

    begun = time.process_time()
    study = prepare(load_scenario("quickstart", seed=SEED))
    record = study.engine().run()
    spent = time.process_time() - begun
    return {
        "vms": len(record.outcome),
        "events": record.events,
        "total_cpu_s": spent,
        "events_per_s": record.events / spent,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def real_nova(traces: Path) -> dict[str, float]:
    """The real Nova's filter-and-weigh beside ours, at 5,000 hosts."""
    folder = HERE / ".." / ".venv-nova"
    subprocess.run([HERE / ".." / "tools" / "setup-nova", folder], check=True, capture_output=True)
    command = [folder / "bin" / "python", HERE / "nova_real.py"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    ours = engine.replay(5_000, 300_000, "nova")["decisions_per_s"]
    real = {str(each["hosts"]): each["least_s"] for each in told["results"]}
    return {"real_1000_s": real["1000"], "real_5000_s": real["5000"], "ours_5000_per_s": ours,
            "times_5000": real["5000"] * ours}  # fmt: skip


def azure_to_results(traces: Path) -> dict[str, float]:
    """The whole Azure V1 trace on 20,000 hosts by the command line, report and figures included."""
    trace = traces / "azure_v1_2017_arrivals"
    figures = {}
    for name, more in (("tables", ["--set", "outputs.report=false"]), ("report", [])):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "sundog", "run", "azure-v1", "--set", f"workload.trace.path={trace}",
                       "--set", "fleet.0.count=20000", "--out", f"{folder}/azure", *more]  # fmt: skip
            before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            figures[f"{name}_wall_s"] = time.perf_counter() - begun
            figures[f"{name}_cpu_s"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return figures | {"peak_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024}


OWN = (huawei_per_event, pool_memory, pool_claims, decisions, quickstart, real_nova, azure_to_results)
CASES = {each.__name__: each for each in (*OWN, *engine.CASES)}
NEEDS_TRACES = {"huawei_per_event", "azure_to_results"}


def measure(name: str, traces: Path, repeats: int) -> dict[str, float]:
    """The medians of a case's figures, each run in a process of its own."""
    command = [sys.executable, __file__, "--traces", str(traces), "--child", name]
    runs = [
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(repeats)
    ]
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def machine(repeats: int) -> dict[str, Any]:
    """What the figures were measured on."""
    import numpy as np

    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE, check=False
    )
    return {
        "cpu": model,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "commit": commit.stdout.strip() or "unknown",
        "seed": SEED,
        "date": time.strftime("%Y-%m-%d"),
        "repeats": repeats,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=Path, default=HERE / ".." / ".." / "shared" / "traces")
    parser.add_argument("--only", choices=list(CASES))
    parser.add_argument("--repeats", type=int, default=REPEATS, help="runs of each case; the median is kept")
    parser.add_argument("--child", choices=list(CASES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(CASES[options.child](options.traces)))
        return
    measure("warm_start", options.traces, 1)  # so that nobody's figure has the compiling of the kernels in it
    figures: dict[str, Any] = {}
    for name in [options.only] if options.only else CASES:
        if name in NEEDS_TRACES and not options.traces.is_dir():
            print(f"{name}: skipped, no traces in {options.traces}")
            continue
        figures[name] = measure(name, options.traces, options.repeats)
        print(name)
        for key, value in figures[name].items():
            print(f"  {key:24} {value:,.4g}" if value < 1e4 else f"  {key:24} {value:,.0f}")
    if not options.only:
        (HERE / "results.json").write_text(
            json.dumps({"machine": machine(options.repeats), "figures": figures}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
