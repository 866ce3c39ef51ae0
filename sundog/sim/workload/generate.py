"""From a specification to a VM trace in the normalised form, in a second per million VMs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from sundog.errors import InputError
from sundog.sim.workload.arrivals import arrival_times, expected_arrivals
from sundog.sim.workload.batches import Counts
from sundog.sim.workload.initial import Population, equilibrium, mean_population
from sundog.sim.workload.laws import Floats, open_uniforms
from sundog.sim.workload.spec import SyntheticFlavor, SyntheticSpec
from sundog.units import Seconds

if TYPE_CHECKING:
    from sundog.runtime.seeds import Streams

MOST_VMS: Final = 100_000_000
SHORTEST_LIFE_S: Final = 1e-3


def generate(spec: SyntheticSpec, *, horizon_s: Seconds, streams: Streams) -> pd.DataFrame:
    """A synthetic VM trace over [0, ``horizon_s``), one row a VM, in order of arrival.

    Columns: ``vm_id`` int64 from 0; ``arrival_s`` float64, negative for a VM that is running at time zero (``start:
    stationary``); ``lifetime_s`` float64, whole and not what is left, NaN for a VM that never leaves; ``vcpus`` and
    ``memory_mb`` (MiB) float64; ``flavor`` category; ``group`` Int64, the number of the batch or null for a VM that
    came alone. Where the specification speaks of them: ``disk_gb`` (GiB) and ``gpus`` float64, ``priority`` Int64, and
    ``group_policy`` category, null for batches that ask nothing.

    Arrivals, modulation, batches, flavors, lifetimes and the initial population each draw from their own stream, so
    that changing one part leaves the draws of the others alone.

    Raises: InputError if the horizon is not a positive finite time, or more than 100 million VMs are to be expected.
    """
    if not (math.isfinite(horizon_s) and horizon_s > 0):
        raise InputError(f"a synthetic workload needs a finite horizon above zero, not {horizon_s!r} s; give 'horizon'")
    expected = expected_arrivals(spec.arrivals_per_day, spec.profile, spec.growth_per_day, horizon_s)
    if spec.start == "stationary":
        expected += mean_population(spec)
    if not expected <= MOST_VMS:
        raise InputError(
            f"the synthetic workload would have about {expected:.3g} VMs and at most {MOST_VMS:,} fit; "
            "lower arrivals_per_day, growth_per_day, the mean lifetime or the horizon"
        )

    weights = np.array([flavor.weight for flavor in spec.flavors])
    sizes = np.array([spec.batches_of(flavor).mean_size() for flavor in spec.flavors])
    # Weights are shares of VMs; a flavor that comes in large batches needs fewer of them.
    batch_weights = weights / weights.sum() / sizes
    times = arrival_times(
        spec.arrivals_per_day * float(batch_weights.sum()),
        spec.profile,
        growth_per_day=spec.growth_per_day,
        modulation=spec.modulation,
        horizon_s=horizon_s,
        rng=streams.stream("arrivals"),
        modulation_rng=streams.stream("modulation"),
    )
    cumulative = np.cumsum(batch_weights / batch_weights.sum())
    # A flavor of weight zero has an empty interval; the last boundary is left out so that rounding cannot pass it.
    last = int(np.flatnonzero(weights)[-1])
    flavor = np.minimum(np.searchsorted(cumulative, streams.stream("flavors").random(len(times)), side="right"), last)
    marks = open_uniforms(streams.stream("batches"), (len(times), 3))
    size, shares = _sizes(spec, flavor, marks)
    batch = np.repeat(np.arange(len(times)), size)
    lifetime = _lifetimes(spec, flavor[batch], batch, size, shares, streams.stream("lifetimes"))
    asks = marks[:, 2] < spec.group_share

    if spec.start == "stationary":
        running: Population = equilibrium(spec, streams.stream("initial"))
        asks = np.concatenate((streams.stream("initial-groups").random(len(running.size)) < spec.group_share, asks))
        batch = np.concatenate((np.repeat(np.arange(len(running.size)), running.alive), batch + len(running.size)))
        times = np.concatenate((running.arrival_s, times))
        flavor = np.concatenate((running.flavor, flavor))
        size = np.concatenate((running.size, size))
        lifetime = np.concatenate((running.lifetime_s, lifetime))
    return _frame(spec, times=times, flavor=flavor, size=size, asks=asks, batch=batch, lifetime=lifetime)


def _sizes(spec: SyntheticSpec, flavor: npt.NDArray[np.intp], marks: Floats) -> tuple[Counts, npt.NDArray[np.bool_]]:
    """Size of each batch and whether it shares one lifetime. Shapes: (batches,) each; ``marks`` is (batches, 3)."""
    size = np.ones(len(flavor), dtype=np.int64)
    shares = np.zeros(len(flavor), dtype=np.bool_)
    for code, mine in _by_flavor(spec, flavor):
        law = spec.batches_of(spec.flavors[code])
        size[mine] = law.at(marks[mine, 0])
        shares[mine] = marks[mine, 1] < law.shared_lifetime
    return size, shares


def _lifetimes(
    spec: SyntheticSpec,
    flavor: npt.NDArray[np.intp],
    batch: npt.NDArray[np.intp],
    size: Counts,
    shares: npt.NDArray[np.bool_],
    rng: np.random.Generator,
) -> Floats:
    """Lifetime of each VM, seconds. Shapes: ``flavor``, ``batch``, result (VMs,); ``size``, ``shares`` (batches,)."""
    draws = open_uniforms(rng, (len(batch), 2))
    # The VMs of a sharing batch use the draws of its first VM: same draws, same flavor, same lifetime.
    first = np.cumsum(size) - size
    source = np.where(shares[batch], first[batch], np.arange(len(batch)))
    draws = draws[source]
    lifetime = np.empty(len(batch))
    for code, mine in _by_flavor(spec, flavor):
        lifetime[mine] = spec.lifetimes_of(spec.flavors[code]).at(draws[mine])
    return np.maximum(lifetime, SHORTEST_LIFE_S, out=lifetime)


def _by_flavor(spec: SyntheticSpec, flavor: npt.NDArray[np.intp]) -> list[tuple[int, npt.NDArray[np.intp]]]:
    """For each flavor that occurs, its code and where it occurs. One sort, however many flavors there are."""
    codes = flavor.astype(np.min_scalar_type(len(spec.flavors)))
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(spec.flavors)))
    return [(code, mine) for code, mine in enumerate(np.split(order, ends[:-1])) if len(mine)]


def _frame(
    spec: SyntheticSpec,
    *,
    times: Floats,
    flavor: npt.NDArray[np.intp],
    size: Counts,
    asks: npt.NDArray[np.bool_],
    batch: npt.NDArray[np.intp],
    lifetime: Floats,
) -> pd.DataFrame:
    """The normalised trace. Shapes: ``times`` to ``asks`` one a batch; ``batch`` and ``lifetime`` one a VM."""
    code = flavor[batch]
    alone = (size == 1)[batch]
    columns: dict[str, object] = {
        "vm_id": np.arange(len(batch), dtype=np.int64),
        "arrival_s": times[batch],
        "lifetime_s": lifetime,
        "vcpus": np.array([f.vcpus for f in spec.flavors])[code],
        "memory_mb": np.array([f.memory for f in spec.flavors])[code],
    }
    if any(f.disk is not None for f in spec.flavors):
        columns["disk_gb"] = np.array([f.disk or 0.0 for f in spec.flavors])[code]
    if any(f.gpus is not None for f in spec.flavors):
        columns["gpus"] = np.array([f.gpus or 0.0 for f in spec.flavors])[code]
    columns["flavor"] = pd.Categorical.from_codes(code, categories=pd.Index([f.name for f in spec.flavors]))
    columns["group"] = pd.arrays.IntegerArray(batch.astype(np.int64), alone)
    if spec.group_policy is not None:
        columns["group_policy"] = pd.Categorical.from_codes(
            np.where(alone | ~asks[batch], -1, 0), categories=pd.Index([str(spec.group_policy)])
        )
    if any(f.priority is not None for f in spec.flavors):
        columns["priority"] = _priorities(spec.flavors, code)
    return pd.DataFrame(columns)


def _priorities(flavors: tuple[SyntheticFlavor, ...], code: npt.NDArray[np.intp]) -> pd.arrays.IntegerArray:
    values = np.array([f.priority or 0 for f in flavors], dtype=np.int64)
    missing = np.array([f.priority is None for f in flavors])
    return pd.arrays.IntegerArray(values[code], missing[code])
