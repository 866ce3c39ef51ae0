"""Random placement: the baseline that every policy should beat."""

from __future__ import annotations

import numpy as np

from sundog.core.scheduler.hosts import HostView
from sundog.core.scheduler.request import Request


class Random:
    """Any feasible host, each with the same chance. Repeatable: the dice hang on the seed and the decision's number."""

    def choose(self, request: Request, hosts: HostView) -> int:
        """A uniform draw from the feasible hosts."""
        feasible = np.flatnonzero(hosts.feasible)
        return int(feasible[int(hosts.uniform() * len(feasible))])
