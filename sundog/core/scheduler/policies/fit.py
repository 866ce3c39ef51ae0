"""The bin-packing classics: first, next, best and worst fit, and round robin.

Sources: Johnson, "Near-optimal bin packing algorithms" (1973) for first, next, best and worst fit in one dimension;
in several dimensions the room left is the sum over the classes asked, each as a share of the largest host, as in the
BestFit that Weng et al. compare with ("Beware of Fragmentation", USENIX ATC 2023).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sundog.core.pool import ResourceClass
from sundog.core.pool.pool import Bools, Ints
from sundog.core.scheduler.hosts import Floats, HostView
from sundog.core.scheduler.request import Request
from sundog.errors import PoolError


class FirstFit:
    """The first host with room, in the order of the fleet."""

    def choose(self, request: Request, hosts: HostView) -> int:
        """The lowest feasible index."""
        return int(np.argmax(hosts.feasible))


class NextFit:
    """The host used last while it has room, then the next one after it, around the fleet; never back before that."""

    def choose(self, request: Request, hosts: HostView) -> int:
        """The first feasible index from the last chosen host on."""
        return first_from(max(hosts.last, 0), hosts.feasible)


class RoundRobin:
    """The host after the one used last, around the fleet."""

    def choose(self, request: Request, hosts: HostView) -> int:
        """The first feasible index after the last chosen host."""
        return first_from(hosts.last + 1, hosts.feasible)


class BestFit:
    """The host that would be left with the least room. ``weights`` weigh the classes; those not named count 1.

    Raises: ValueError for a weight that is not a number of 0 or more, or that names no resource class.
    """

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        self.weights = checked_weights(weights)

    def score(self, request: Request, hosts: HostView) -> Floats:
        """Room left, negated, in shares of the largest host."""
        return -room_left(hosts, self.parameters(hosts.classes_asked()))

    def parameters(self, classes: tuple[str, ...]) -> list[float]:
        """The weight of each class asked."""
        return weights_of(classes, self.weights)

    @staticmethod
    def host_score(free: Ints, asked: Ints, capacity: Ints, scale: Floats, parameters: Floats) -> float:
        """As :meth:`score`, of one host."""
        room = 0.0
        for i in range(len(free)):
            room += parameters[i] * ((free[i] - asked[i]) / scale[i])
        return -room


class WorstFit:
    """The host that would be left with the most room. ``weights`` as for best fit.

    Raises: ValueError for a weight that is not a number of 0 or more, or that names no resource class.
    """

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        self.weights = checked_weights(weights)

    def score(self, request: Request, hosts: HostView) -> Floats:
        """Room left, in shares of the largest host."""
        return room_left(hosts, self.parameters(hosts.classes_asked()))

    def parameters(self, classes: tuple[str, ...]) -> list[float]:
        """The weight of each class asked."""
        return weights_of(classes, self.weights)

    @staticmethod
    def host_score(free: Ints, asked: Ints, capacity: Ints, scale: Floats, parameters: Floats) -> float:
        """As :meth:`score`, of one host."""
        room = 0.0
        for i in range(len(free)):
            room += parameters[i] * ((free[i] - asked[i]) / scale[i])
        return room


def first_from(start: int, feasible: Bools) -> int:
    """The first feasible index at or after ``start``, going around."""
    after = int(np.argmax(feasible[start:])) if start < len(feasible) else 0
    if start < len(feasible) and feasible[start + after]:
        return start + after
    return int(np.argmax(feasible))


def checked_weights(weights: Mapping[str, float] | None) -> dict[str, float]:
    """``weights`` by class name.

    Raises: ValueError for a weight that is negative or not a finite number, or a name that is no resource class.
    """
    if weights is None:
        return {}
    if not isinstance(weights, Mapping):
        raise ValueError(f"weights are {weights!r}; give a number for each resource class, such as VCPU: 2")
    for name, weight in weights.items():
        try:
            ResourceClass(name)
        except PoolError as exc:
            raise ValueError(f"weights: {exc}") from exc
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < np.inf:
            raise ValueError(f"weight {weight!r} of {name} is not a finite number of 0 or more")
    return dict(weights)


def weights_of(classes: Sequence[str], weights: Mapping[str, float]) -> list[float]:
    """The weight of each class; 1 where none is given."""
    return [float(weights.get(name, 1.0)) for name in classes]


def room_left(hosts: HostView, weights: Sequence[float]) -> Floats:
    """``float64[n]``: weighted sum over the classes asked of what would be left free, as shares of the largest host."""
    room = np.zeros(hosts.n)
    for (free, asked, _, scale), weight in zip(hosts.in_units(), weights, strict=True):
        share = (free - asked) / scale
        room += share if weight == 1.0 else weight * share
    return room
