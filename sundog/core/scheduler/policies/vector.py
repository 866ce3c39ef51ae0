"""Policies that treat demand and room as vectors."""

from __future__ import annotations

import numpy as np

from sundog.core.scheduler.hosts import Floats, HostView
from sundog.core.scheduler.request import Request


class DotProduct:
    """The host whose free vector is best aligned with, and longest along, the demand: big holes for big servers.

    Sources: Panigrahy, Talwar, Uyeda, Wieder, "Heuristics for Vector Bin Packing" (2011); Grandl et al.,
    "Multi-resource Packing for Cluster Schedulers" (Tetris, SIGCOMM 2014).
    """

    def score(self, request: Request, hosts: HostView) -> Floats:
        """Sum over the classes asked of free times asked, both as shares of the largest host."""
        total = np.zeros(hosts.n)
        for free, asked in hosts.free_and_asked_shares():
            total += free * asked
        return total
