"""How many hosts each built-in policy uses on small cases, and how few would do (``optimal``, a MILP)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from sundog.core.scheduler import load_policy, policy_names
from sundog.errors import InputError
from sundog.runtime.seeds import Streams
from sundog.scenarios.optimal import fewest_hosts
from sundog.sim.engine import Engine
from sundog.sim.fleet import Fleet, build_fleet
from sundog.sim.outlook import prepare_policy, study_outlook
from sundog.sim.records import Outcome
from sundog.sim.requests import Workload, build_workload
from sundog.sim.spec import HostGroup, HostType, Overcommit

VMS = 14
HOST = HostType(name="h", vcpus=8, memory=16384)
SIZES = ((1, 1024), (1, 4096), (2, 2048), (2, 8192), (4, 4096), (4, 12288), (6, 6144))


@dataclass(frozen=True)
class Case:
    """Hosts used on one case: the fewest, and by each policy."""

    seed: int
    fewest: int
    used: dict[str, int]
    one_less_has_no_plan: bool


def vms_of(seed: int) -> pd.DataFrame:
    """Fourteen VMs of random sizes that come within an hour and stay about as long."""
    rng = Streams(seed).stream("bound")
    size = np.asarray(SIZES)[rng.integers(len(SIZES), size=VMS)]
    return pd.DataFrame(
        {
            "vm_id": np.arange(VMS),
            "arrival_s": np.sort(rng.integers(0, 3600, size=VMS)).astype(float),
            "lifetime_s": rng.exponential(3600.0, size=VMS),
            "vcpus": size[:, 0].astype(float),
            "memory_mb": size[:, 1].astype(float),
        }
    )


def fleet_of(hosts: int) -> Fleet:
    """Hosts of one type."""
    return build_fleet([HostGroup(type=HOST, count=hosts)], Overcommit())


@lru_cache(maxsize=256)
def case(seed: int) -> Case:
    """Play one case with every policy on a fleet where no VM is ever rejected: as many hosts as VMs."""
    fleet = fleet_of(VMS)
    work = build_workload(vms_of(seed), fleet)
    fewest = fewest_hosts(study_outlook(fleet, work)).hosts_used
    used = {name: hosts_used(name, fleet, work) for name in (*policy_names(), "optimal")}
    return Case(seed, fewest, used, fewest == 1 or not _has_plan(seed, fewest - 1))


def hosts_used(name: str, fleet: Fleet, work: Workload) -> int:
    """Hosts that ever had a VM."""
    policy = load_policy(name)
    prepare_policy(policy, fleet, work)
    record = Engine(fleet, work, policy, policy_name=name, seed=1).run()
    assert not (record.outcome == Outcome.REJECTED).any()
    return len(np.unique(record.stays.host))


def _has_plan(seed: int, hosts: int) -> bool:
    fleet = fleet_of(hosts)
    try:
        fewest_hosts(study_outlook(fleet, build_workload(vms_of(seed), fleet)))
    except InputError:
        return False
    return True
