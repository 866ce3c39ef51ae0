"""Placement policies: which of the feasible hosts.

A policy is a small object with one of two methods:

- ``score(request, hosts) -> float64[n]``: more is better, the first of equals wins; or
- ``choose(request, hosts) -> int``: one feasible host outright.

``hosts`` is a ``HostView``. A class in the user's own file is named ``module:Class`` and needs no registration here.
"""

from sundog.core.scheduler.policies.base import BUILT_IN, Policy, load_policy, policy_names

__all__ = ["BUILT_IN", "Policy", "load_policy", "policy_names"]
