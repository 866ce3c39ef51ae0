"""What a policy may be told before a run: the workload to come, and the fleet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sundog.core.pool import Pool
from sundog.core.scheduler.request import Shape


@dataclass(frozen=True, slots=True)
class Outlook:
    """The workload and the fleet of a study, given to a policy's ``prepare(outlook)`` before the first decision.

    One entry a VM, in arrival order: ``shape`` indexes ``shapes``; ``arrival_s`` and ``lifetime_s`` in seconds
    (infinite if it outlives the study). ``grouped``: some are in server groups. ``pool`` is a stand-in that holds the
    whole fleet, empty, hosts in the order in which they enter service. A scheduler in production knows none of this; a
    policy that uses it says so.
    """

    pool: Pool
    shapes: tuple[Shape, ...]
    shape: NDArray[np.int32]
    arrival_s: NDArray[np.float64]
    lifetime_s: NDArray[np.float64]
    grouped: bool = False

    def counts(self) -> NDArray[np.int64]:
        """``int64[shapes]``: how many VMs have each shape."""
        return np.bincount(self.shape, minlength=len(self.shapes)).astype(np.int64)

    def scarcity(self) -> dict[str, float]:
        """By class: what all VMs ask of the hosts, over what all hosts have. Classes that nobody has are left out.

        A demand that depends on the machine counts as its first variant.
        """
        asked: dict[str, float] = {}
        for shape, count in zip(self.shapes, self.counts().tolist(), strict=True):
            for name, amount in shape.variants[0].resources if shape.variants else shape.resources:
                asked[name] = asked.get(name, 0.0) + amount * count
        capacity = self.pool.capacity[:, self.pool.roots()].sum(axis=1)
        return {
            name: amount * self.pool.classes[name].scale / float(capacity[self.pool.classes.column(name)])
            for name, amount in asked.items()
            if name in self.pool.classes and capacity[self.pool.classes.column(name)] > 0
        }
