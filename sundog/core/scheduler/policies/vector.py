"""Policies that treat demand and room as vectors, one dimension a resource class asked.

All but ``perp-distance`` measure in shares of the largest host's capacity, so that classes of different units compare.
Sums start at 0 and run over the classes in order, in ``score`` as in ``host_score``, so that both give the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from sundog.core.pool.pool import Ints
from sundog.core.scheduler.hosts import Floats, HostView
from sundog.core.scheduler.policies.fit import checked_weights, weights_of
from sundog.core.scheduler.policies.outlook import Outlook
from sundog.core.scheduler.request import Request


class DotProduct:
    """The host whose free vector is best aligned with, and longest along, the demand: big holes for big servers.

    Sources: Panigrahy, Talwar, Uyeda, Wieder, "Heuristics for Vector Bin Packing" (2011); Grandl et al.,
    "Multi-resource Packing for Cluster Schedulers" (Tetris, SIGCOMM 2014).
    """

    def score(self, request: Request, hosts: HostView) -> Floats:
        """Sum over the classes asked of free times asked, both as shares of the largest host."""
        total = np.zeros(hosts.n)
        for free, asked, _, scale in hosts.in_units():
            total += (free / scale) * (asked / scale)
        return total

    @staticmethod
    def host_score(free: Ints, asked: Ints, capacity: Ints, scale: Floats, parameters: Floats) -> float:
        """As :meth:`score`, of one host."""
        total = 0.0
        for i in range(len(free)):
            total += (free[i] / scale[i]) * (asked[i] / scale[i])
        return total


class WeightedDotProduct:
    """The dot product with a weight for each class, so that the scarce ones decide.

    ``weights`` by class; those not named count 1. Without any, a class weighs the workload's demand for it over the
    fleet's capacity, if the study tells the workload beforehand, else 1. ``exponent`` given, a weight *w* counts as
    exp(``exponent`` × *w*).

    Source: Panigrahy, Talwar, Uyeda, Wieder, "Heuristics for Vector Bin Packing" (2011), whose weights are the average
    demand in a dimension (FFDAvgSum, and FFDExpSum with an exponential), for bins of capacity 1.

    Raises: ValueError for a weight that is not a number of 0 or more, or that names no resource class, or an exponent
    that is not a finite number.
    """

    def __init__(self, weights: Mapping[str, float] | None = None, exponent: float | None = None) -> None:
        self.weights = checked_weights(weights)
        self._scarcity = weights is None
        if exponent is not None and (
            isinstance(exponent, bool) or not isinstance(exponent, int | float) or not math.isfinite(exponent)
        ):
            raise ValueError(f"exponent is {exponent!r}; give a finite number")
        self.exponent = exponent

    def prepare(self, outlook: Outlook) -> None:
        """Learn how scarce each class is."""
        if self._scarcity:
            self.weights = outlook.scarcity()

    def score(self, request: Request, hosts: HostView) -> Floats:
        """Sum over the classes asked of weight times free times asked, in shares of the largest host."""
        total = np.zeros(hosts.n)
        weights = self.parameters(hosts.classes_asked())
        for (free, asked, _, scale), weight in zip(hosts.in_units(), weights, strict=True):
            total += weight * ((free / scale) * (asked / scale))
        return total

    def parameters(self, classes: tuple[str, ...]) -> list[float]:
        """The weight of each class asked."""
        weights = weights_of(classes, self.weights)
        return weights if self.exponent is None else [math.exp(self.exponent * weight) for weight in weights]

    @staticmethod
    def host_score(free: Ints, asked: Ints, capacity: Ints, scale: Floats, parameters: Floats) -> float:
        """As :meth:`score`, of one host."""
        total = 0.0
        for i in range(len(free)):
            total += parameters[i] * ((free[i] / scale[i]) * (asked[i] / scale[i]))
        return total


class Cosine:
    """The host whose free vector has the smallest angle with the demand, whatever its length.

    Where one class is asked every host has the same angle, and the first one is taken.

    Source: the dot product of Panigrahy et al. (2011) made independent of size; cosine similarity is among the
    measures of alignment that Grandl et al. compare ("Multi-resource Packing for Cluster Schedulers", SIGCOMM 2014).
    """

    def score(self, request: Request, hosts: HostView) -> Floats:
        """Cosine of the angle between free and asked, both as shares of the largest host; 0 where one is nothing."""
        dot, free_square, asked_square = np.zeros(hosts.n), np.zeros(hosts.n), np.zeros(hosts.n)
        for free, asked, _, scale in hosts.in_units():
            room, wish = free / scale, asked / scale
            dot += room * wish
            free_square += room * room
            asked_square += wish * wish
        lengths = np.sqrt(free_square) * np.sqrt(asked_square)
        cosine: Floats = np.divide(dot, lengths, out=np.zeros(hosts.n), where=lengths > 0.0)
        return cosine

    @staticmethod
    def host_score(free: Ints, asked: Ints, capacity: Ints, scale: Floats, parameters: Floats) -> float:
        """As :meth:`score`, of one host."""
        dot, free_square, asked_square = 0.0, 0.0, 0.0
        for i in range(len(free)):
            room, wish = free[i] / scale[i], asked[i] / scale[i]
            dot += room * wish
            free_square += room * room
            asked_square += wish * wish
        lengths = math.sqrt(free_square) * math.sqrt(asked_square)
        if lengths > 0.0:
            return dot / lengths
        return 0.0


class L2Norm:
    """The host whose free vector is nearest to the demand: the least left over, and left over evenly.

    ``weights`` weigh the squares; classes not named count 1.

    Source: norm-based greedy of Panigrahy, Talwar, Uyeda, Wieder, "Heuristics for Vector Bin Packing" (2011), with the
    L2 norm; L2-Norm-Diff in Grandl et al. (SIGCOMM 2014).

    Raises: ValueError for a weight that is not a number of 0 or more, or that names no resource class.
    """

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        self.weights = checked_weights(weights)

    def score(self, request: Request, hosts: HostView) -> Floats:
        """Sum of the squares of what would be left free, negated, in shares of the largest host."""
        total = np.zeros(hosts.n)
        weights = self.parameters(hosts.classes_asked())
        for (free, asked, _, scale), weight in zip(hosts.in_units(), weights, strict=True):
            left = (free - asked) / scale
            total += weight * (left * left)
        return -total

    def parameters(self, classes: tuple[str, ...]) -> list[float]:
        """The weight of each class asked."""
        return weights_of(classes, self.weights)

    @staticmethod
    def host_score(free: Ints, asked: Ints, capacity: Ints, scale: Floats, parameters: Floats) -> float:
        """As :meth:`score`, of one host."""
        total = 0.0
        for i in range(len(free)):
            left = (free[i] - asked[i]) / scale[i]
            total += parameters[i] * (left * left)
        return -total


class PerpDistance:
    """The host whose use becomes more even across classes by this server, or less uneven than that of any other.

    Use is a vector of shares of the host's own capacity. Its distance from the diagonal, along which all classes are
    used alike, is the host's imbalance. Where one class is asked every host is balanced, and the first one is taken.

    Sources: the resource imbalance vector of Mishra, Sahoo, "On Theory of VM Placement: Anomalies in Existing
    Methodologies and Their Mitigation Using a Novel Vector Based Approach" (IEEE CLOUD 2011); that the change decides,
    and the name, are from Delta Perp-Distance of the simulator DSLab IaaS (whose vectors are in cores and megabytes).
    """

    def score(self, request: Request, hosts: HostView) -> Floats:
        """Distance from the diagonal before, less the distance after. Classes that a host has none of do not count."""
        columns = hosts.in_units()
        before, after, known = np.zeros(hosts.n), np.zeros(hosts.n), np.zeros(hosts.n)
        shares = []
        for free, asked, capacity, _ in columns:
            has = capacity > 0
            size = np.where(has, capacity, 1)
            now = np.where(has, (capacity - free) / size, 0.0)
            then = np.where(has, (capacity - free + asked) / size, 0.0)
            shares.append((has, now, then))
            before += now
            after += then
            known += has
        known = np.maximum(known, 1.0)
        before, after = before / known, after / known
        off_before, off_after = np.zeros(hosts.n), np.zeros(hosts.n)
        for has, now, then in shares:
            off_before += np.where(has, (now - before) * (now - before), 0.0)
            off_after += np.where(has, (then - after) * (then - after), 0.0)
        gain: Floats = np.sqrt(off_before) - np.sqrt(off_after)
        return gain

    @staticmethod
    def host_score(free: Ints, asked: Ints, capacity: Ints, scale: Floats, parameters: Floats) -> float:
        """As :meth:`score`, of one host."""
        before, after, known = 0.0, 0.0, 0.0
        for i in range(len(free)):
            if capacity[i] > 0:
                before += (capacity[i] - free[i]) / capacity[i]
                after += (capacity[i] - free[i] + asked[i]) / capacity[i]
                known += 1.0
        known = max(known, 1.0)
        before, after = before / known, after / known
        off_before, off_after = 0.0, 0.0
        for i in range(len(free)):
            if capacity[i] > 0:
                now = (capacity[i] - free[i]) / capacity[i]
                then = (capacity[i] - free[i] + asked[i]) / capacity[i]
                off_before += (now - before) * (now - before)
                off_after += (then - after) * (then - after)
        return math.sqrt(off_before) - math.sqrt(off_after)
