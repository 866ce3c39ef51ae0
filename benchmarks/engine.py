"""The cases of the compiled engine: events and decisions a second, memory, how long it takes to start.

Each returns its figures; ``run.py`` runs each in a process of its own. The workload is made: VMs of twenty flavors come
at one a second and stay for an exponential time, so that in the long run 85 % of the vCPUs are in use.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

SEED = 1
VCPUS, RATIOS = (1, 2, 4, 8, 16), (1, 2, 4, 8)
SHARES = np.asarray([0.35, 0.30, 0.20, 0.10, 0.05]).repeat(4) / 4
UTILISATION = 0.85


def made(hosts: int, vms: int, seed: int = SEED):
    """A fleet of 64 vCPU / 256 GiB and a workload of twenty flavors."""
    from sundog.sim.fleet import build_fleet
    from sundog.sim.requests import build_workload
    from sundog.sim.spec import HostGroup, HostType, Overcommit

    rng = np.random.Generator(np.random.PCG64(seed))
    flavors = [(vcpus, 1024.0 * vcpus * ratio) for vcpus in VCPUS for ratio in RATIOS]
    code = rng.choice(len(flavors), vms, p=SHARES)
    vcpus = np.asarray([each[0] for each in flavors], dtype=np.float64)[code]
    alive = hosts * 64 * UTILISATION / vcpus.mean()
    frame = pd.DataFrame(
        {
            "vm_id": np.arange(vms),
            "arrival_s": np.arange(vms, dtype=np.float64),
            "lifetime_s": rng.exponential(alive, vms),
            "vcpus": vcpus,
            "memory_mb": np.asarray([each[1] for each in flavors])[code],
        }
    )
    fleet = build_fleet([HostGroup(type=HostType(name="h", vcpus=64, memory=262144), count=hosts)], Overcommit())
    return fleet, build_workload(frame, fleet)


def replay(hosts: int, vms: int, policy: str, *, general: bool = False) -> dict[str, float]:
    """Play a made workload; the kernels are warm. Events are arrivals and departures."""
    from sundog.core.scheduler import load_policy
    from sundog.sim.engine import Engine
    from sundog.sim.replay import CompiledEngine

    kind = Engine if general else CompiledEngine

    def engine(count: int) -> Engine:
        fleet, workload = made(hosts, count)
        return kind(fleet, workload, load_policy(policy), policy_name=policy, seed=SEED)

    engine(10).run()
    big = engine(vms)
    begun = time.process_time()
    record = big.run()
    spent = time.process_time() - begun
    return {"events_per_s": record.events / spent, "cpu_s": spent, "decisions_per_s": vms / spent}


def compiled_engine(traces: Path) -> dict[str, float]:
    """A million VMs on 1,000, 10,000 and 100,000 hosts, and how much more an event costs on the largest."""
    figures = {}
    for policy in ("best-fit", "dot-product"):
        for hosts in (1_000, 10_000, 100_000):
            figures[f"{policy}_{hosts}_events_per_s"] = replay(hosts, 1_000_000, policy)["events_per_s"]
        figures[f"{policy}_cost_100000_to_1000"] = (
            figures[f"{policy}_1000_events_per_s"] / figures[f"{policy}_100000_events_per_s"]
        )
    return figures


def compiled_to_general(traces: Path) -> dict[str, float]:
    """The same 30,000 VMs on 10,000 hosts by both engines, one after the other."""
    figures = {}
    for policy in ("best-fit", "dot-product", "nova"):
        slow = replay(10_000, 30_000, policy, general=True)["events_per_s"]
        fast = replay(10_000, 30_000, policy)["events_per_s"]
        figures |= {f"{policy}_general_events_per_s": slow, f"{policy}_times": fast / slow}
    return figures


def nova_decisions(traces: Path) -> dict[str, float]:
    """Nova's decisions a second, releases included, while fleets of 5,000 and 10,000 hosts fill up and are full."""
    return {f"{hosts}_decisions_per_s": replay(hosts, 300_000, "nova")["decisions_per_s"] for hosts in (5_000, 10_000)}


class Vectorised:
    """A researcher's policy in NumPy, as the how-to has it: no Numba."""

    def score(self, request, hosts):
        left = [(free - asked) / scale for free, asked, _, scale in hosts.in_units()]
        return -np.abs(left[0] - left[1]) - 0.1 * (left[0] + left[1])


def numpy_policy(traces: Path) -> dict[str, float]:
    """A policy in vectorised NumPy on 10,000 hosts by the general engine."""
    from sundog.sim.engine import Engine

    fleet, workload = made(10_000, 20_000)
    engine = Engine(fleet, workload, Vectorised(), policy_name="vectorised", seed=SEED)
    begun = time.process_time()
    engine.run()
    return {"decisions_per_s": 20_000 / (time.process_time() - begun)}


def million(traces: Path) -> dict[str, float]:
    """A million VMs on 100,000 hosts: peak memory of the whole process, libraries included."""
    from sundog.core.scheduler import load_policy
    from sundog.sim.replay import CompiledEngine

    fleet, workload = made(100_000, 1_000_000)
    CompiledEngine(fleet, workload, load_policy("best-fit"), policy_name="best-fit", seed=SEED).run()
    return {"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def warm_start(traces: Path) -> dict[str, float]:
    """From the first import of Numba to the first decision, with kernels from the disk."""
    from sundog.core.scheduler import load_policy

    fleet, workload = made(1_000, 10)
    assert "numba" not in sys.modules
    begun = time.perf_counter()
    from sundog.sim.replay import CompiledEngine

    CompiledEngine(fleet, workload, load_policy("best-fit"), policy_name="best-fit", seed=SEED).run()
    return {"wall_s": time.perf_counter() - begun}


CASES = (compiled_engine, compiled_to_general, nova_decisions, numpy_policy, million, warm_start)
