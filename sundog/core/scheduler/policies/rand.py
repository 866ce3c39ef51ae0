"""Random placement: the baseline that every policy should beat, and a little more of it that does."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from sundog.core.scheduler.hosts import HostView
from sundog.core.scheduler.policies.fit import BestFit, WorstFit
from sundog.core.scheduler.policies.vector import Cosine, DotProduct, L2Norm, PerpDistance, WeightedDotProduct
from sundog.core.scheduler.request import Request

RANKERS: Final[dict[str, Any]] = {
    "worst-fit": WorstFit,
    "best-fit": BestFit,
    "dot-product": DotProduct,
    "weighted-dot-product": WeightedDotProduct,
    "cosine": Cosine,
    "l2-norm": L2Norm,
    "perp-distance": PerpDistance,
}
"""What ``power-of-k`` can rank its sample by: every policy whose score depends on one host alone."""


class Random:
    """Any feasible host, each with the same chance. Repeatable: the dice hang on the seed and the decision's number."""

    def choose(self, request: Request, hosts: HostView) -> int:
        """A uniform draw from the feasible hosts."""
        feasible = np.flatnonzero(hosts.feasible)
        return int(feasible[int(hosts.uniform() * len(feasible))])


class PowerOfK:
    """The best of ``k`` feasible hosts drawn at random, with replacement; ``by`` names the score that ranks them.

    Draw *j* of the decision's dice picks host number floor(draw × count) among the feasible ones, in the order of the
    fleet. The one drawn first wins among equals.

    Sources: Azar, Broder, Karlin, Upfal, "Balanced allocations" (STOC 1994); Mitzenmacher, "The power of two choices
    in randomized load balancing" (IEEE TPDS 2001). Both choose the least loaded, as ``by: worst-fit`` does.

    Raises: ValueError for a k below 1, or a score that does not exist.
    """

    def __init__(self, k: int = 2, by: str = "worst-fit") -> None:
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise ValueError(f"k is {k!r}; it must be a whole number of 1 or more")
        if by not in RANKERS:
            raise ValueError(f"by is {by!r}; it must be one of {', '.join(RANKERS)}")
        self.k = k
        self.by = by
        self.ranker = RANKERS[by]()

    def choose(self, request: Request, hosts: HostView) -> int:
        """The best of the sample."""
        feasible = np.flatnonzero(hosts.feasible)
        sample = feasible[[int(hosts.uniform(draw) * len(feasible)) for draw in range(self.k)]]
        return int(sample[np.argmax(self.ranker.score(request, hosts)[sample])])
