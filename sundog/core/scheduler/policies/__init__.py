"""Placement policies: which of the feasible hosts.

A policy is a small object with one of two methods:

- ``score(request, hosts) -> float64[n]``: more is better, the first of equals wins; or
- ``choose(request, hosts) -> int``: one feasible host outright.

``hosts`` is a ``HostView``. A class in the user's own file is named ``module:Class`` and needs no registration here.

What it may have besides:

- ``host_score(free, asked, capacity, scale, parameters) -> float``, static: the same score of one host alone, in plain
  code that Numba compiles. ``free``, ``asked`` and ``capacity`` are ``int64[k]`` of the k classes asked, in the pool's
  units; ``scale`` is ``float64[k]``, the largest capacity of each class on any host; ``parameters`` is ``float64[p]``.
  It must give the bits of ``score``: the same operations in the same order, sums from 0.0, no ``**``, no ``np.dot``.
- ``parameters(classes) -> Sequence[float]``: what ``host_score`` is given, for the names of the classes asked.
- ``prepare(outlook)``: called once before the run with the workload and the fleet (``Outlook``).
- ``breakdown(request, hosts) -> dict[str, float64[n]]``: the parts of the score, for explaining.
- ``weighs_groups``: true if it sees to soft server groups itself.
"""

from sundog.core.scheduler.policies.base import BUILT_IN, ELSEWHERE, Policy, load_policy, policy_names
from sundog.core.scheduler.policies.outlook import Outlook

__all__ = ["BUILT_IN", "ELSEWHERE", "Outlook", "Policy", "load_policy", "policy_names"]
