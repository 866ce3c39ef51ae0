"""Nova's own way of choosing: weighers, scaled over the feasible hosts, times multipliers, summed.

Source: ``nova.weights``, ``nova.scheduler.manager`` and ``nova.scheduler.weights`` (OpenStack Nova 34, Apache-2.0),
from their behaviour; ``tests/system/test_real_nova.py`` compares each decision with the real ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sundog.core.scheduler.filters import Filter, default_filters
from sundog.core.scheduler.hosts import Floats, HostView
from sundog.core.scheduler.nova_options import ALL_WEIGHERS, NovaOptions, nova_options
from sundog.core.scheduler.request import Request
from sundog.core.scheduler.weighers import NOVA_MODULES, NOVA_WEIGHERS, Weigher, spread_over

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


class Nova:
    """Nova's FilterScheduler. Options have the names of ``nova.conf``; see :class:`NovaOptions`.

    ``host_subset_size``: choose at random among that many best hosts. ``shuffle_best_same_weighed_hosts``: put those
    of the largest weight into random order first. Equal weights otherwise keep the order of the fleet.
    Raises: ValueError for an unknown option, or a value that Nova would not take.
    """

    weighs_groups = True  # soft server groups are weighers here

    def __init__(self, **options: Any) -> None:
        self.options: NovaOptions = nova_options(options)
        self.weighers = weighers(self.options)
        self.scheduler_filters: tuple[Filter, ...] = default_filters(self.options)
        self.host_subset_size = self.options.host_subset_size
        self._plain = self.host_subset_size == 1 and not self.options.shuffle_best_same_weighed_hosts

    def breakdown(self, request: Request, hosts: HostView) -> dict[str, Floats]:
        """What each weigher adds, ``float64[n]`` by weigher name; meaningful on feasible hosts only.

        A weigher whose multiplier is 0 is left out. A single feasible host is not weighed, as in Nova: all is 0.
        """
        parts: dict[str, Floats] = {}
        for weigher, part in self._parts(request, hosts):
            added = np.zeros(hosts.n) if part is None else part
            parts[weigher.name] = parts[weigher.name] + added if weigher.name in parts else added
        return parts

    def score(self, request: Request, hosts: HostView) -> Floats:
        """The sum of the breakdown, in the order of the weighers."""
        total = np.zeros(hosts.n)
        for _, part in self._parts(request, hosts):
            if part is not None:
                total += part
        return total

    def _parts(self, request: Request, hosts: HostView) -> Iterator[tuple[Weigher, Floats | None]]:
        """Each weigher that is not off, and what it adds: multiplier times scaled weight; None for nothing."""
        alone = int(np.count_nonzero(hosts.feasible)) < 2
        for weigher in self.weighers:
            multiplier = getattr(self.options, weigher.option)
            of_host = None if hosts.facts is None else hosts.facts.multipliers(hosts.hosts, weigher.option, multiplier)
            if of_host is None and multiplier == 0.0:
                continue
            raw = None if alone else weigher.weigh(request, hosts)
            scaled = None if raw is None else spread_over(raw, hosts.feasible, from_zero=weigher.from_zero)
            if scaled is not None:
                scaled *= weigher.sign * (multiplier if of_host is None else of_host)
            yield weigher, scaled

    def choose(self, request: Request, hosts: HostView) -> int:
        """The best host, or one of the best by this decision's dice, as the options have it."""
        if self._plain:
            return int(np.argmax(np.where(hosts.feasible, self.score(request, hosts), -np.inf)))
        return int(self.ranked(request, hosts)[0][0])

    def ranked(
        self, request: Request, hosts: HostView, order: NDArray[np.intp] | None = None
    ) -> tuple[NDArray[np.intp], Floats]:
        """The feasible hosts, the chosen one first and the others by falling weight; and the weights of all hosts.

        Equal weights keep the order of ``order``, which is that of the fleet where it is not given. (Nova goes down
        this list if a claim is refused, and takes alternates from it.)
        """
        weights = self.score(request, hosts)
        before = np.flatnonzero(hosts.feasible) if order is None else order[hosts.feasible[order]]
        best = before[np.argsort(-weights[before], kind="stable")]
        if self._plain or not len(best):
            return best, weights
        dice = _dice(hosts.uniform())
        if self.options.shuffle_best_same_weighed_hosts:
            equal = int(np.count_nonzero(weights[best] == weights[best[0]]))
            for last in range(equal - 1, 0, -1):  # Fisher and Yates
                other = int(next(dice) * (last + 1))
                best[last], best[other] = best[other], best[last]
        chosen = int(next(dice) * min(self.host_subset_size, len(best)))
        return np.concatenate([best[chosen : chosen + 1], best[:chosen], best[chosen + 1 :]]), weights


def weighers(options: NovaOptions) -> tuple[Weigher, ...]:
    """The weighers that ``weight_classes`` names, in that order.

    Raises: ValueError for a class that there is not.
    """
    known = {each.name: each for each in NOVA_WEIGHERS}
    paths = {f"nova.scheduler.weights.{NOVA_MODULES[name]}.{name}": name for name in known}
    found: list[Weigher] = []
    for path in options.weight_classes:
        if path == ALL_WEIGHERS:
            found.extend(each(options) for each in NOVA_WEIGHERS)
        elif path in paths or path in known:
            found.append(known[paths.get(path, path)](options))
        else:
            raise ValueError(f"weight_classes has {path!r}; it takes {ALL_WEIGHERS}, {', '.join(paths)}")
    return tuple(found)


def _dice(first: float) -> Iterator[float]:
    """Numbers in [0, 1), the first of them given, the next ones from it (SplitMix64)."""
    yield first
    state = int(first * 2**53)
    while True:
        state = z = (state + _GOLDEN) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        yield ((z ^ (z >> 31)) >> 11) * 2.0**-53
