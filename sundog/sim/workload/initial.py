"""VMs already running at time zero, drawn exactly from the equilibrium of the batch-arrival infinite-server queue.

Think of the Poisson process of all batches of the past. The ones that matter have at least one VM alive at time zero.
Drawing the past itself would cost months of arrivals for a heavy-tailed law, so the living are drawn directly:

1. *Tagged* VMs: their number is Poisson with mean rate x E[lifetime]; each is of a flavor by its share of VM-time, its
   lifetime L is length-biased, its age is uniform in (0, L), its batch size is size-biased.
2. The other VMs of its batch are alive at that age: all of them if the batch shares its lifetime, else each with
   probability P(lifetime > age); their lifetimes are then drawn given that they exceed the age.
3. A batch with m VMs alive can have been found through any of the m. It is kept with probability 1 / m, which makes its
   intensity exactly that of the batch process. (For single VMs this is the classical M/G/infinity result.)

A rate that depends on the time of week is thinning of the tagged ages. Growth and modulation begin at time zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sundog.sim.workload.batches import Counts
from sundog.sim.workload.laws import Floats, open_uniforms
from sundog.sim.workload.spec import SyntheticSpec
from sundog.units import DAY, HOUR, WEEK


@dataclass(frozen=True, slots=True)
class Population:
    """Batches with a VM alive at time zero, and those VMs. All in order of arrival.

    Shapes: ``arrival_s``, ``flavor``, ``size`` and ``alive`` one a batch (``size`` as it arrived, ``alive`` what is
    left); ``lifetime_s`` one a living VM, batch after batch. Units: seconds; arrivals are negative.
    """

    arrival_s: Floats
    flavor: npt.NDArray[np.intp]
    size: Counts
    alive: Counts
    lifetime_s: Floats


def mean_population(spec: SyntheticSpec) -> float:
    """Mean number of VMs running in equilibrium, over a week: rate x mean lifetime (Little)."""
    weights = np.array([flavor.weight for flavor in spec.flavors])
    means = np.array([spec.lifetimes_of(flavor).mean_s() for flavor in spec.flavors])
    return float(spec.arrivals_per_day / DAY * (weights / weights.sum()) @ np.where(weights > 0, means, 0.0))


def equilibrium(spec: SyntheticSpec, rng: np.random.Generator) -> Population:
    """A draw of the population at time zero. Every flavor of positive weight has a finite mean lifetime."""
    profile = spec.profile
    bound = float(profile.bound(np.arange(WEEK // HOUR)).max())
    weights = np.array([flavor.weight for flavor in spec.flavors])
    parts = []
    for code, flavor in enumerate(spec.flavors):
        if flavor.weight == 0:
            continue
        law, batches = spec.lifetimes_of(flavor), spec.batches_of(flavor)
        rate = spec.arrivals_per_day / DAY * flavor.weight / weights.sum()
        n = int(rng.poisson(rate * bound * law.mean_s()))
        draws = open_uniforms(rng, (n, 7))
        tagged = law.length_biased(draws[:, :2])
        age = tagged * draws[:, 2]
        size = batches.size_biased(draws[:, 5:])
        shares = draws[:, 3] < batches.shared_lifetime
        others = np.where(shares, size - 1, rng.binomial(size - 1, law.sf(age)))
        keep = draws[:, 4] * bound * (others + 1) < profile.at(-age)
        tagged, age, size, shares, others = tagged[keep], age[keep], size[keep], shares[keep], others[keep]

        # Per living VM: the tagged one of its batch, then the others of that batch.
        batch = np.repeat(np.arange(len(age)), others + 1)
        lifetime = tagged[batch]
        first = np.zeros(len(batch), dtype=bool)
        first[np.cumsum(others + 1) - others - 1] = True
        independent = ~first & ~shares[batch]
        fresh = open_uniforms(rng, (int(independent.sum()), 2))
        lifetime[independent] = law.beyond(age[batch[independent]], fresh)
        parts.append((-age, np.full(len(age), code, dtype=np.intp), size, others + 1, lifetime))

    arrival, flavors, sizes, alive, lifetimes = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(arrival, kind="stable")
    start = np.cumsum(alive) - alive
    counts = alive[order]
    # Where each VM of the sorted batches stands in the unsorted list: its batch's start plus its place in the batch.
    place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return Population(
        arrival[order], flavors[order], sizes[order], counts, lifetimes[np.repeat(start[order], counts) + place]
    )
