"""Azure V1 (2017): the arrivals of one region over 30 days, with lifetimes in bins where they are known.

Source: huaweicloud/trace_generation_rnn (Bergsma et al., SOSP'21), processed from AzurePublicDatasetV1 (Cortez et al.,
SOSP'17). Two files: arrivals (``arrival_s, batch_id, vcpus, mem_gb, dur_bin, dur_censored``) and duration bins
(``bin, min_s, max_s``). How missing lifetimes are drawn, and why so, is in ``docs/reference/traces.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from sundog.errors import InputError
from sundog.scenarios.traces.lifetimes import (
    BatchLikeness,
    LifeTable,
    batch_likeness,
    exponential_tail,
    product_limit,
)
from sundog.scenarios.traces.model import Option, Trace, flavor_names, in_arrival_order, locate, positive_duration
from sundog.scenarios.traces.tables import Source, read_table
from sundog.units import Seconds, format_duration

if TYPE_CHECKING:
    from sundog.runtime.seeds import Streams

DESCRIPTION = "Azure V1 (2017) arrivals with tenant batches; missing and censored lifetimes are sampled"
OPTIONS = {
    "tail_mean": Option(
        positive_duration,
        None,
        "mean time to go of VMs beyond the last estimate, drawn as exponential; left out: they outlive the trace",
    ),
}

# Watching ended at these instants for the arrivals before them (README of the data set), so the age at that moment is
# known better than by its bin.
_CENSORED_AT: Final = (2_100_000.0, 2_591_400.0)
# Lifetimes differ most by flavour, and by the size of the batch: 1 VM, 2-4, 5-16, 17-99, 100 and more.
_BATCH_SIZES: Final = (2, 5, 17, 100)
# Below this many known ends a class borrows the estimate of its flavour, and a flavour that of all.
_ENOUGH_DEATHS: Final = 1000


@dataclass(frozen=True, slots=True)
class _Bins:
    lower: np.ndarray
    upper: np.ndarray

    @property
    def starts_of_next(self) -> np.ndarray:
        """Where the bin after each one begins; the last is as wide as it says, at the resolution of the trace."""
        resolution = self.lower[1] - self.upper[0] if len(self.lower) > 1 else 1.0
        return np.append(self.lower[1:], self.upper[-1] + resolution)


@dataclass(frozen=True, slots=True)
class _Lives:
    """What the trace tells of each VM's lifetime. ``bin`` is -1 where nothing; ``age`` counts where ``censored``."""

    bin: np.ndarray
    censored: np.ndarray
    age: np.ndarray


def read(path: Path, *, options: dict[str, Any], streams: Streams) -> Trace:
    """The trace in the folder ``path``, or in the arrivals file ``path`` with the bins file beside it.

    ``group`` is the tenant batch (int64) and has no policy. Lifetimes: a known one is drawn uniformly within its bin; a
    censored one from the product-limit estimate of its class given that it lived so long; a missing one from that
    estimate, alike within a batch as the known ones are. Streams: ``lifetimes/...``.
    Raises: InputError for missing files, other columns, arrivals out of order, a bin that is not in the bins file,
    sizes that are not positive.
    """
    folder = path if path.is_dir() else path.parent
    if path.is_dir():
        path = locate(path, "*arrivals*.parquet", "*arrivals*.csv", what="file of arrivals")
    source = read_table(path)
    source.require(("arrival_s", "batch_id", "vcpus", "mem_gb", "dur_bin", "dur_censored"))
    bins = _read_bins(locate(folder, "*duration_bins*.parquet", "*duration_bins*.csv", what="file of duration bins"))
    arrivals = source.number("arrival_s")
    source.ascending("arrival_s", arrivals)
    batch = source.integer("batch_id")
    vcpus, gigabytes = source.number("vcpus", above=0), source.number("mem_gb", above=0)
    flavor = flavor_names(vcpus, gigabytes)
    lives = _read_lives(source, bins, arrivals)
    del source
    lifetimes, notes = _sample(lives, bins, batch, flavor, options["tail_mean"], streams.child("lifetimes"))
    vms = {
        "vm_id": np.arange(len(arrivals), dtype=np.int64),
        "arrival_s": arrivals,
        "lifetime_s": lifetimes,
        "vcpus": vcpus,
        "memory_mb": gigabytes * 1024.0,
        "flavor": flavor,
        "group": batch,
    }
    alive = "VMs already running when the trace starts are not in it, so it begins with an empty cloud"
    return Trace(in_arrival_order(vms), notes=(*notes, alive))


def _read_bins(path: Path) -> _Bins:
    source = read_table(path)
    source.require(("bin", "min_s", "max_s"))
    number, lower, upper = source.integer("bin"), source.number("min_s", least=0), source.number("max_s")
    source.refuse(number != np.arange(len(source)), lambda row: f"bin is {number[row]}; bins count up from 0")
    source.refuse(upper < lower, lambda row: f"the bin ends before it starts: {lower[row]:g} to {upper[row]:g} s")
    overlap = np.concatenate([[False], lower[1:] <= upper[:-1]])
    source.refuse(overlap, lambda row: f"the bin starts at {lower[row]:g} s, within the one before")
    return _Bins(lower, upper)


def _read_lives(source: Source, bins: _Bins, arrivals: np.ndarray) -> _Lives:
    number = source.integer("dur_bin", missing=-1)
    source.refuse(
        (number < -1) | (number >= len(bins.lower)),
        lambda row: f"dur_bin is {number[row]}; the bins file has 0 to {len(bins.lower) - 1}",
    )
    known = number >= 0
    flag = source.flag("dur_censored", missing=False)
    censored = known & flag
    age = np.where(censored, bins.lower[np.maximum(number, 0)], 0.0)
    end = np.searchsorted(_CENSORED_AT, arrivals, side="right")
    seen = np.append(_CENSORED_AT, np.nan)[end] - arrivals
    inside = censored & (seen >= age) & (seen <= bins.upper[np.maximum(number, 0)])
    return _Lives(number, censored, np.where(inside, seen, age))


def _sample(
    lives: _Lives, bins: _Bins, batch: np.ndarray, flavor: pd.Categorical, tail_mean: Seconds | None, streams: Streams
) -> tuple[np.ndarray, list[str]]:
    """Lifetimes in seconds, NaN where a VM outlives the trace, and what to tell the user. Shape: (n,)."""
    n, known = len(batch), lives.bin >= 0
    ended = known & ~lives.censored
    if not ended.any():
        raise InputError("not one VM has a known lifetime (dur_bin), so none can be estimated; is this the whole file?")
    batch_row, batches = _rows_of(batch)
    size = np.digitize(np.bincount(batch_row)[batch_row], _BATCH_SIZES)
    classes = len(_BATCH_SIZES) + 1
    stratum = flavor.codes.astype(np.int64) * classes + size
    tables = _life_tables(lives, bins, stratum, len(flavor.categories), classes)
    small = stratum.astype(np.min_scalar_type(len(tables)))  # numpy sorts integers of 8 and 16 bits many times faster
    ends = np.cumsum(np.bincount(stratum, minlength=len(tables)))
    by_stratum = np.split(np.argsort(small, kind="stable"), ends[:-1])

    scores = np.zeros(n)
    for table, rows in zip(tables, by_stratum, strict=True):
        mine = rows[ended[rows]]
        scores[mine] = table.middle_scores(lives.bin[mine])
    likeness = batch_likeness(batch_row[ended], lives.bin[ended], scores[ended])

    place = streams.fresh("place").random(n)
    drawn = likeness.draw(batch_row, of_batch=streams.fresh("batch"), of_vm=streams.fresh("vm"), batches=batches)
    lifetimes = np.zeros(n)
    low = bins.lower[lives.bin[ended]]
    lifetimes[ended] = low + place[ended] * (bins.upper[lives.bin[ended]] - low)
    for table, rows in zip(tables, by_stratum, strict=True):
        mine = rows[~ended[rows]]
        if len(mine):
            lifetimes[mine] = _drawn_lives(table, lives.age[mine], drawn[mine], place[mine], tail_mean)
    return lifetimes, _notes(lives, lifetimes, likeness, tail_mean)


def _rows_of(batch: np.ndarray) -> tuple[np.ndarray, int]:
    """Batches numbered in order of first appearance, which keeps the draws of the first VMs whatever follows."""
    rows, names = pd.factorize(batch)
    return rows, len(names)


def _life_tables(lives: _Lives, bins: _Bins, stratum: np.ndarray, flavors: int, classes: int) -> list[LifeTable]:
    """One table a stratum; a stratum with few known ends takes the one of its flavour, or of all VMs."""
    m, strata = len(bins.lower), flavors * classes
    cell = stratum * m + lives.bin
    ended, censored = (lives.bin >= 0) & ~lives.censored, lives.censored
    watched = (lives.age - bins.lower[lives.bin]) / (bins.starts_of_next - bins.lower)[lives.bin]
    shape = (flavors, classes, m)
    deaths = np.bincount(cell[ended], minlength=strata * m).reshape(shape)
    lost = np.bincount(cell[censored], minlength=strata * m).reshape(shape)
    exposed = np.bincount(cell[censored], weights=watched[censored], minlength=strata * m).reshape(shape)
    counts = (deaths, lost, exposed)
    of_all = product_limit(*(x.sum(axis=(0, 1)) for x in counts))
    of_flavor = product_limit(*(x.sum(axis=1) for x in counts))
    of_class = product_limit(*counts)
    enough_flavor = deaths.sum(axis=(1, 2)) >= _ENOUGH_DEATHS
    enough_class = deaths.sum(axis=2) >= _ENOUGH_DEATHS
    of_flavor = np.where(enough_flavor[:, None], of_flavor, of_all)
    of_class = np.where(enough_class[..., None], of_class, of_flavor[:, None, :])
    return [LifeTable(bins.lower, bins.upper, survival) for survival in of_class.reshape(strata, m + 1)]


def _drawn_lives(
    table: LifeTable, age: np.ndarray, uniform: np.ndarray, other: np.ndarray, tail_mean: Seconds | None
) -> np.ndarray:
    """Lifetimes of VMs that are known to have lived ``age`` seconds, 0 where nothing is known. Shape: as ``age``."""
    below = table.probability_below(age)
    # Rounding can put a draw a hair below the age; maximum, unlike fmax, keeps the NaN of the tail.
    life = np.asarray(np.maximum(table.quantile(below + (1.0 - below) * uniform), age))
    if tail_mean is None:
        return life
    last = np.flatnonzero(np.diff(table.survival) < 0)
    start = np.maximum(table.upper[last[-1]] if len(last) else 0.0, age)
    return np.asarray(np.where(np.isnan(life), exponential_tail(other, start, tail_mean), life))


def _notes(lives: _Lives, lifetimes: np.ndarray, likeness: BatchLikeness, tail_mean: Seconds | None) -> list[str]:
    missing, censored = int((lives.bin < 0).sum()), int(lives.censored.sum())
    ended = len(lifetimes) - missing - censored
    open_ended = int(np.isnan(lifetimes).sum())
    tail = (
        f"{open_ended} of them are beyond the last estimate and outlive the trace"
        if tail_mean is None
        else f"beyond the last estimate they have {format_duration(tail_mean)} to go on average (option tail_mean)"
    )
    return [
        f"lifetimes: {ended} drawn within their bins; {censored} censored and {missing} missing ones drawn from a"
        f" Kaplan-Meier estimate by flavour and batch size; {tail}",
        f"within a batch a VM shares the batch's fate with probability {likeness.shared:.2f} and else leans to it with"
        f" correlation {likeness.leaning:.2f}, as in the VMs whose end is known",
    ]
