"""Which policies compiled code can play, and why others cannot be. Imports no Numba, so that asking is cheap."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sundog.core.scheduler.compiled.slots import Method
from sundog.core.scheduler.filters import DEFAULT_FILTERS, Filter
from sundog.core.scheduler.policies.fit import BestFit, FirstFit, NextFit, RoundRobin, WorstFit
from sundog.core.scheduler.policies.rand import Random
from sundog.core.scheduler.policies.vector import DotProduct

_METHODS: dict[type, Method] = {
    FirstFit: Method.FIRST_FIT,
    BestFit: Method.BEST_FIT,
    WorstFit: Method.WORST_FIT,
    DotProduct: Method.DOT_PRODUCT,
    NextFit: Method.NEXT_FIT,
    RoundRobin: Method.ROUND_ROBIN,
    Random: Method.RANDOM,
}


@dataclass(frozen=True, slots=True)
class Compilable:
    """How compiled code plays a policy."""

    method: Method


def compilable(policy: Any, filters: Iterable[Filter] = DEFAULT_FILTERS) -> Compilable | str:
    """How compiled code plays ``policy`` behind ``filters``, or a sentence that says why it cannot."""
    if [type(each) for each in filters] != [type(each) for each in DEFAULT_FILTERS]:
        return "filters of one's own are Python code"
    for hook in ("choose_devices", "placed", "released"):
        if callable(getattr(policy, hook, None)):
            return f"{type(policy).__name__} has {hook}(), which is Python code"
    method = _METHODS.get(type(policy))
    if method is not None:
        return Compilable(method)
    if callable(getattr(policy, "host_score", None)) and not callable(getattr(policy, "choose", None)):
        return Compilable(Method.CUSTOM)
    return f"{type(policy).__name__} has no host_score that could be compiled"
