"""Nova's own way of choosing: weighers, normalised over the feasible hosts, times multipliers, summed.

Source: the algorithm of ``nova.weights.BaseWeightHandler`` and ``nova.scheduler.manager`` (OpenStack Nova, Apache-2.0),
written from its documentation (Nova admin guide, "Compute schedulers"). This is the first part: RAM, CPU, disk, number
of instances and soft server groups.
"""

from __future__ import annotations

import numpy as np

from sundog.core.scheduler.hosts import Floats, HostView
from sundog.core.scheduler.request import Request
from sundog.core.scheduler.weighers import NOVA_WEIGHERS


class Nova:
    """Nova's FilterScheduler. Options have the names of ``nova.conf``'s ``[filter_scheduler]``.

    ``host_subset_size``: choose at random among that many best hosts. Equal weights keep the order of the fleet.
    Raises: ValueError for an unknown option or a subset below 1.
    """

    weighs_groups = True  # soft server groups are weighers here

    def __init__(self, host_subset_size: int = 1, **multipliers: float) -> None:
        known = {weigher.option: weigher.default for weigher in NOVA_WEIGHERS}
        unknown = [name for name in multipliers if name not in known]
        if unknown:
            raise ValueError(f"unknown option {', '.join(unknown)}; it takes host_subset_size, {', '.join(known)}")
        for name, value in multipliers.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
                raise ValueError(f"{name} is {value!r}; a multiplier is a finite number")
        if isinstance(host_subset_size, bool) or not isinstance(host_subset_size, int) or host_subset_size < 1:
            raise ValueError(f"host_subset_size is {host_subset_size!r}; it must be a whole number of 1 or more")
        self.host_subset_size = host_subset_size
        self.multipliers = known | multipliers

    def breakdown(self, request: Request, hosts: HostView) -> dict[str, Floats]:
        """What each weigher adds, ``float64[n]`` by weigher name; meaningful on feasible hosts only."""
        return {
            weigher.name: self.multipliers[weigher.option] * normalised(weigher.weigh(request, hosts), hosts)
            for weigher in NOVA_WEIGHERS
            if self.multipliers[weigher.option]
        }

    def score(self, request: Request, hosts: HostView) -> Floats:
        """The sum of the breakdown."""
        total = np.zeros(hosts.n)
        for part in self.breakdown(request, hosts).values():
            total += part
        return total

    def choose(self, request: Request, hosts: HostView) -> int:
        """The best host, or one of the ``host_subset_size`` best by this decision's dice."""
        scores = np.where(hosts.feasible, self.score(request, hosts), -np.inf)
        if self.host_subset_size == 1:
            return int(np.argmax(scores))
        size = min(self.host_subset_size, int(np.count_nonzero(hosts.feasible)))
        best = np.argsort(-scores, kind="stable")[:size]
        return int(best[int(hosts.uniform() * size)])


def normalised(weights: Floats, hosts: HostView) -> Floats:
    """``weights`` scaled so that the feasible hosts span 0 to 1; all 0 where they are all equal."""
    feasible = weights[hosts.feasible]
    low, high = feasible.min(), feasible.max()
    return np.zeros(hosts.n) if low == high else (weights - low) / (high - low)
