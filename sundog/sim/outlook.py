"""The fleet and the workload of a study, as a policy may be told them before the run."""

from __future__ import annotations

from sundog.core.pool import Pool
from sundog.core.scheduler import Outlook, Policy
from sundog.sim.fleet import Fleet
from sundog.sim.requests import Workload


def prepare_policy(policy: Policy, fleet: Fleet, workload: Workload) -> None:
    """Tell a policy that asks for it (``prepare``) what is to come; others are left alone.

    Raises: whatever the policy does; InputError from a built-in one that cannot work with it.
    """
    if callable(getattr(policy, "prepare", None)):
        policy.prepare(study_outlook(fleet, workload))


def study_outlook(fleet: Fleet, workload: Workload) -> Outlook:
    """An :class:`Outlook` with a pool of its own: every host of the fleet, in the order of entering service."""
    pool = Pool(workload.classes)
    for number in sorted(range(len(fleet.groups)), key=lambda number: fleet.groups[number].at):
        fleet.enter(pool, number)
    grouped = bool((workload.group >= 0).any())
    return Outlook(pool, workload.shapes, workload.shape, workload.arrival_s, workload.lifetime_s, grouped)
