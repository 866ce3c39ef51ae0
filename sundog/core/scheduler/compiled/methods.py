"""Which policies compiled code can play, and why others cannot be. Imports no Numba, so that asking is cheap."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sundog.core.scheduler.compiled.slots import Method, Weighs
from sundog.core.scheduler.filters import DEFAULT_FILTERS, Filter
from sundog.core.scheduler.policies.fit import BestFit, FirstFit, NextFit, RoundRobin, WorstFit
from sundog.core.scheduler.policies.nova import Nova
from sundog.core.scheduler.policies.rand import Random
from sundog.core.scheduler.policies.vector import DotProduct
from sundog.core.scheduler.weighers import (
    CPUWeigher,
    DiskWeigher,
    NumInstancesWeigher,
    RAMWeigher,
    ServerGroupSoftAffinityWeigher,
    ServerGroupSoftAntiAffinityWeigher,
)

_METHODS: dict[type, Method] = {
    FirstFit: Method.FIRST_FIT,
    BestFit: Method.BEST_FIT,
    WorstFit: Method.WORST_FIT,
    DotProduct: Method.DOT_PRODUCT,
    NextFit: Method.NEXT_FIT,
    RoundRobin: Method.ROUND_ROBIN,
    Random: Method.RANDOM,
}


_WEIGHS = {
    ServerGroupSoftAffinityWeigher: Weighs.SOFT_AFFINITY,
    ServerGroupSoftAntiAffinityWeigher: Weighs.SOFT_ANTI_AFFINITY,
    CPUWeigher: Weighs.CPU,
    DiskWeigher: Weighs.DISK,
    NumInstancesWeigher: Weighs.INSTANCES,
    RAMWeigher: Weighs.RAM,
}
"""The others say nothing of a host of which there are no facts beyond the pool."""

_CLASS = {Weighs.CPU: "VCPU", Weighs.DISK: "DISK_GB", Weighs.RAM: "MEMORY_MB"}


@dataclass(frozen=True, slots=True)
class Weighing:
    """A weigher of ``nova``: which, the resource class that it looks at, and its multiplier with its sign."""

    which: Weighs
    resource_class: str | None
    multiplier: float


@dataclass(frozen=True, slots=True)
class Compilable:
    """How compiled code plays a policy; ``weighers`` in their order, for ``nova``."""

    method: Method
    weighers: tuple[Weighing, ...] = ()


def compilable(policy: Any, filters: Iterable[Filter] | None = None) -> Compilable | str:
    """How compiled code plays ``policy`` behind ``filters`` (by default its own), or why it cannot, as a sentence."""
    filters = getattr(policy, "scheduler_filters", DEFAULT_FILTERS) if filters is None else filters
    if [type(each) for each in filters] != [type(each) for each in DEFAULT_FILTERS]:
        return "its filters are not the default ones"
    if type(policy) is Nova:
        return _compilable_nova(policy)
    for hook in ("choose_devices", "placed", "released"):
        if callable(getattr(policy, hook, None)):
            return f"{type(policy).__name__} has {hook}(), which is Python code"
    method = _METHODS.get(type(policy))
    if method is not None:
        return Compilable(method)
    if callable(getattr(policy, "host_score", None)) and not callable(getattr(policy, "choose", None)):
        return Compilable(Method.CUSTOM)
    return f"{type(policy).__name__} has no host_score that could be compiled"


def _compilable_nova(policy: Nova) -> Compilable | str:
    options = policy.options
    if options.host_subset_size > 1 or options.shuffle_best_same_weighed_hosts:
        return "nova with host_subset_size above 1 or shuffled hosts ranks all hosts"
    if options.metrics_weight_setting:
        return "nova weighs metrics, which are facts beyond the pool"
    weighers = []
    for weigher in policy.weighers:
        which, multiplier = _WEIGHS.get(type(weigher)), getattr(options, weigher.option)
        if which is not None and multiplier != 0.0:
            weighers.append(Weighing(which, _CLASS.get(which), weigher.sign * multiplier))
    return Compilable(Method.NOVA, tuple(weighers))
