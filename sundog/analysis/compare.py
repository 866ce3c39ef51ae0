"""Statistics over the cells of a sweep: means with confidence intervals, paired differences, ranks, a Pareto front.

The input is a table with one row a cell: the keys that vary, ``seed``, and figures. Cells of one seed have the same
workload and faults (common random numbers), so differences are taken seed by seed: what the seeds have in common falls
out of them.

Methods: Student's t intervals over seeds; paired t test and Wilcoxon's signed-rank test on the differences; Holm's
correction (1979) over all differences of one figure; Friedman's test and Nemenyi's critical difference on ranks (Demšar
2006, "Statistical comparisons of classifiers over multiple data sets"); seeds needed from the power of the paired
t test, by the noncentral t distribution.
"""

from __future__ import annotations

import difflib
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy import stats

from sundog.analysis.tables import Floats
from sundog.errors import InputError

LEVEL: Final = 0.95
"""Confidence of intervals; tests are at 1 - LEVEL."""
POWER: Final = 0.8
"""Chance to see a difference of the observed size, for which the needed seeds are counted."""
MOST_SEEDS: Final = 10_000
"""A difference that needs more seeds than this is not told by a number."""

DEFAULT_METRICS: Final = (
    "requests.rejected_share", "rejections.vcpus.hours_share", "packing.vcpus.density", "packing.memory_mb.density",
    "packing.gpus.density", "fragmentation.vcpus.share_of_capacity", "fragmentation.memory_mb.share_of_capacity",
    "fragmentation.gpus.share_of_capacity", "hosts.empty_mean", "evacuations.lost", "availability.vms", "wait.mean",
    "boot.p50", "scheduling.conflict_rate",
)  # fmt: skip
_LESS_IS_BETTER: Final = (
    "requests.rejected*", "requests.lost", "rejections.*", "stranded.*", "fragmentation.*", "evacuations.lost",
    "availability.downtime", "availability.disturbed", "boot.*", "wait.*",
    "scheduling.conflict*", "scheduling.commits_per_placement", "scheduling.queue_*", "scheduling.rejected_*",
)  # fmt: skip
_MORE_IS_BETTER: Final = (
    "requests.completed", "packing.*", "hosts.empty_*", "hosts.availability", "availability.vms",
    "evacuations.success_share",
)  # fmt: skip

Labels = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Estimate:
    """The mean of a figure over the seeds of one variant, with its t interval; NaN where there are too few seeds."""

    labels: Labels
    seeds: int
    mean: float
    sd: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """A variant less the baseline, seed by seed.

    ``p_t`` is of the paired t test, ``p_wilcoxon`` of the signed-rank test, ``p_holm`` the first corrected.
    ``verdict``: ``better`` or ``worse`` (``higher`` or ``lower`` where neither is good in itself), ``same`` (in every
    seed), or ``cannot tell``; then ``seeds_needed`` is about how many would tell a difference of this size, None where
    no number can be given.
    """

    labels: Labels
    baseline: Labels
    seeds: int
    mean: float
    sd: float
    low: float
    high: float
    p_t: float
    p_wilcoxon: float
    p_holm: float
    verdict: str
    seeds_needed: int | None


@dataclass(frozen=True, slots=True)
class Ranks:
    """Mean ranks of what is compared, 1 the best, over ``seeds`` seeds; ranks of other keys' values are averaged.

    Two whose mean ranks differ by less than ``critical`` (Nemenyi, at 5 %) cannot be told apart. ``p_friedman`` is the
    chance of ranks as uneven as these if all were equal; NaN for fewer than three, or where ranks are averaged.
    """

    labels: tuple[Labels, ...]
    means: tuple[float, ...]
    seeds: int
    critical: float
    p_friedman: float


@dataclass(frozen=True, slots=True)
class Metric:
    """All that is said about one figure. ``sign`` is 1 where more is better, -1 where less is, 0 where neither."""

    name: str
    unit: str
    sign: int
    estimates: tuple[Estimate, ...]
    differences: tuple[Difference, ...]
    ranks: Ranks | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A sweep compared: its keys with their values in order, the baseline, and every metric."""

    levels: Mapping[str, tuple[Any, ...]]
    baseline: Labels
    metrics: tuple[Metric, ...]
    left_out: tuple[str, ...]


def compare(
    frame: pd.DataFrame,
    levels: Mapping[str, Sequence[Any]],
    *,
    units: Mapping[str, str],
    metrics: Sequence[str] = (),
    baseline: Labels | None = None,
    extra: Sequence[str] = (),
) -> Comparison:
    """Compare the variants of a sweep.

    ``frame`` has one row a cell with the columns of ``levels``, ``seed`` and figures, whose ``units`` are given by
    name. ``metrics`` are names, or patterns with ``*``; without any, the usual ones that vary; ``extra`` are others
    besides. ``baseline`` gives values of some keys: each variant is compared with the one that has these and is
    otherwise equal. Without it, that is the first value of the first key.
    Raises: InputError for a metric or baseline that is not there.
    """
    chosen, left_out = choose_metrics(frame, units, metrics)
    if extra:
        chosen = list(dict.fromkeys([*chosen, *choose_metrics(frame, units, extra)[0]]))
    base = dict(baseline) if baseline else {key: values[0] for key, values in list(levels.items())[:1]}
    _check_baseline(base, levels)
    told = tuple(_metric(frame, levels, base, name, units[name]) for name in chosen)
    return Comparison({key: tuple(values) for key, values in levels.items()}, base, told, left_out)


def choose_metrics(
    frame: pd.DataFrame, units: Mapping[str, str], asked: Sequence[str]
) -> tuple[list[str], tuple[str, ...]]:
    """The figures that ``asked`` names, or the usual ones, and those of the usual that are the same in every cell."""
    if not asked:
        usual = [name for name in DEFAULT_METRICS if name in units]
        dull = tuple(name for name in usual if frame[name].dropna().nunique() < 2)
        return [name for name in usual if name not in dull], dull
    chosen: dict[str, None] = {}
    for pattern in asked:
        found = [name for name in units if fnmatchcase(name, pattern)]
        if not found:
            near = difflib.get_close_matches(pattern, list(units), 3, 0.4)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise InputError(f"--metric {pattern}: no figure of these results is called so{hint}", metric=pattern)
        chosen |= dict.fromkeys(found)
    return list(chosen), ()


def direction(metric: str) -> int:
    """1 where more of a figure is better, -1 where less is, 0 where neither is good in itself."""
    if any(fnmatchcase(metric, pattern) for pattern in _LESS_IS_BETTER):
        return -1
    return int(any(fnmatchcase(metric, pattern) for pattern in _MORE_IS_BETTER))


def _check_baseline(base: Labels, levels: Mapping[str, Sequence[Any]]) -> None:
    for key, value in base.items():
        if key not in levels:
            raise InputError(f"--baseline {key}={value}: {key} does not vary; {', '.join(levels) or 'nothing'} does")
        if value not in levels[key]:
            known = ", ".join(str(each) for each in levels[key])
            raise InputError(f"--baseline {key}={value}: there is no such value; the values are {known}")


def _metric(frame: pd.DataFrame, levels: Mapping[str, Sequence[Any]], base: Labels, name: str, unit: str) -> Metric:
    sign = direction(name)
    by_variant = _values(frame, list(levels), name)
    order = sorted(
        by_variant, key=lambda variant: [list(levels[k]).index(v) for k, v in zip(levels, variant, strict=True)]
    )
    estimates = tuple(_estimate(dict(zip(levels, each, strict=True)), by_variant[each].to_numpy()) for each in order)
    pairs = []
    for variant in order:
        labels = dict(zip(levels, variant, strict=True))
        against = tuple({**labels, **base}.values())
        if variant != against and against in by_variant:
            both = pd.concat([by_variant[variant], by_variant[against]], axis=1, join="inner")
            pairs.append(
                (labels, dict(zip(levels, against, strict=True)), (both.iloc[:, 0] - both.iloc[:, 1]).to_numpy())
            )
    return Metric(name, unit, sign, estimates, _differences(pairs, sign), _ranks(by_variant, levels, base, sign))


def _values(frame: pd.DataFrame, keys: list[str], name: str) -> dict[tuple[Any, ...], pd.Series]:
    """The known values of a figure by variant, each by seed."""
    known = frame[frame[name].notna()]
    found: dict[tuple[Any, ...], pd.Series] = {}
    groups = known.groupby(keys, sort=False) if keys else [((), known)]
    for variant, rows in groups:
        found[tuple(variant)] = rows.set_index("seed")[name].astype(float)
    return found


def _estimate(labels: Labels, values: Floats) -> Estimate:
    return Estimate(labels, len(values), *t_interval(values))


def t_interval(values: Floats, level: float = LEVEL) -> tuple[float, float, float, float]:
    """Mean, standard deviation (n - 1), and Student's interval of the mean; NaN where there are too few values."""
    n = len(values)
    if n == 0:
        return math.nan, math.nan, math.nan, math.nan
    mean = float(np.mean(values))
    if n == 1:
        return mean, math.nan, math.nan, math.nan
    sd = _sd(values)
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * sd / math.sqrt(n)
    return mean, sd, mean - half, mean + half


def _sd(values: Floats) -> float:
    """The standard deviation; exactly 0 for equal values, whose mean may be off in the last bit."""
    return 0.0 if (values == values[0]).all() else float(np.std(values, ddof=1))


# ---------------------------------------------------------------- differences


def _differences(pairs: Sequence[tuple[Labels, Labels, Floats]], sign: int) -> tuple[Difference, ...]:
    pairs = [(labels, base, _cleaned(d)) for labels, base, d in pairs]
    tests = [(t_interval(d), paired_t(d), signed_rank(d)) for _, _, d in pairs]
    corrected = holm([p for _, p, _ in tests])
    alpha = (1 - LEVEL) / max(1, sum(not math.isnan(p) for _, p, _ in tests))
    found = []
    for (labels, base, d), (interval, p, p_rank), p_holm in zip(pairs, tests, corrected, strict=True):
        mean, sd, low, high = interval
        verdict = _verdict(d, mean, p_holm, sign)
        needed = seeds_needed(mean, sd, alpha) if verdict == "cannot tell" else None
        needed = max(needed, len(d) + 1) if needed is not None else None
        found.append(Difference(labels, base, len(d), mean, sd, low, high, p, p_rank, p_holm, verdict, needed))
    return tuple(found)


def _cleaned(differences: Floats) -> Floats:
    """Differences without the last bits, which part what is equal: figures have 12 digits."""
    scale = float(np.abs(differences).max(initial=0.0))
    cleaned: Floats = np.round(differences / scale, 11) * scale if scale > 0 else differences
    return cleaned


def _verdict(d: Floats, mean: float, p_holm: float, sign: int) -> str:
    if len(d) and not d.any():
        return "same"
    if len(d) < 2 or not p_holm < 1 - LEVEL:
        return "cannot tell"
    if sign == 0:
        return "higher" if mean > 0 else "lower"
    return "better" if mean * sign > 0 else "worse"


def paired_t(d: Floats) -> float:
    """The two-sided p of the paired t test on differences; NaN for fewer than two, 1 where all are 0.

    Differences that are all alike have no spread: their p is 0.
    """
    n = len(d)
    if n < 2:
        return math.nan
    if not d.any():
        return 1.0
    sd = _sd(d)
    if sd == 0:
        return 0.0
    return float(2 * stats.t.sf(abs(np.mean(d)) / (sd / math.sqrt(n)), n - 1))


def signed_rank(d: Floats) -> float:
    """The two-sided p of Wilcoxon's signed-rank test; NaN for fewer than two, 1 where all are 0.

    Exact where there are few and no ties. Below six differences that are not 0 it never falls below 5 %.
    """
    if len(d) < 2:
        return math.nan
    if not d.any():
        return 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about small samples with ties, where it is a normal approximation
        return float(stats.wilcoxon(d).pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """P values corrected for being many, by Holm's step-down method (1979); NaN stays and does not count."""
    known = [i for i in range(len(p)) if not math.isnan(p[i])]
    corrected = [math.nan] * len(p)
    running = 0.0
    for place, i in enumerate(sorted(known, key=lambda i: p[i])):
        running = max(running, min(1.0, p[i] * (len(known) - place)))
        corrected[i] = running
    return corrected


def seeds_needed(mean: float, sd: float, alpha: float = 1 - LEVEL, power: float = POWER) -> int | None:
    """The fewest seeds at which a paired t test sees a true difference of ``mean`` with this power.

    ``sd`` is that of the differences. None where there is no difference or no spread to go by, or it takes more than
    ``MOST_SEEDS``. Source: Cohen (1988), "Statistical Power Analysis", by the noncentral t distribution.
    """
    if not (math.isfinite(mean) and math.isfinite(sd)) or mean == 0 or sd == 0:
        return None
    effect = abs(mean) / sd
    rough = ((stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power)) / effect) ** 2
    if rough > MOST_SEEDS:
        return None
    n = max(2, math.floor(rough))
    while n < MOST_SEEDS and not _power(n, effect, alpha) >= power:
        n += 1
    return n


def _power(n: int, effect: float, alpha: float) -> float:
    edge, shift = stats.t.ppf(1 - alpha / 2, n - 1), effect * math.sqrt(n)
    if n > 1000:  # the noncentral t is as good as normal, and slow
        return float(stats.norm.sf(edge - shift))
    # The chance of the wrong sign is left out: next to such a power it is nothing, and SciPy often has NaN for it.
    return float(stats.nct.sf(edge, n - 1, shift))


# ---------------------------------------------------------------- ranks


def _ranks(
    by_variant: Mapping[tuple[Any, ...], pd.Series], levels: Mapping[str, Sequence[Any]], base: Labels, sign: int
) -> Ranks | None:
    """Ranks of the values of the baseline's keys, averaged over those of the other keys, the circumstances."""
    keys = list(levels)
    compared: dict[tuple[Any, ...], None] = {}
    around: dict[tuple[Any, ...], dict[tuple[Any, ...], pd.Series]] = {}
    for variant, values in by_variant.items():
        labels = dict(zip(keys, variant, strict=True))
        own = tuple(labels[key] for key in keys if key in base)
        compared[own] = None
        around.setdefault(tuple(labels[key] for key in keys if key not in base), {})[own] = values
    owned = [key for key in keys if key in base]
    owns = sorted(compared, key=lambda own: _place(dict(zip(owned, own, strict=True)), levels))
    blocks = []
    for each in around.values():
        if len(each) == len(owns):  # of a sweep that is not done, only what is complete can be ranked
            table = pd.concat([each[own] for own in owns], axis=1, join="inner")
            table.columns = pd.RangeIndex(len(owns))
            blocks.append(table.rank(axis=1, ascending=sign <= 0))
    if not blocks or len(owns) < 2:
        return None
    mean_by_seed = pd.concat(blocks).groupby(level=0).mean()
    n = len(mean_by_seed)
    if n == 0:
        return None
    friedman = math.nan
    if len(owns) > 2 and len(blocks) == 1 and n > 1:
        friedman = _friedman(mean_by_seed.to_numpy())
    ranked = tuple(dict(zip(owned, own, strict=True)) for own in owns)
    means = tuple(float(each) for each in mean_by_seed.mean())
    return Ranks(ranked, means, n, critical_difference(len(owns), n), friedman)


def _place(labels: Labels, levels: Mapping[str, Sequence[Any]]) -> list[int]:
    """Where a variant stands in the order in which the values were asked for."""
    return [list(levels[key]).index(value) for key, value in labels.items()]


def critical_difference(compared: int, blocks: int, level: float = LEVEL) -> float:
    """How far two mean ranks must be apart (Nemenyi): the studentised range over sqrt 2, times a rank's error."""
    q = float(stats.studentized_range.ppf(level, compared, np.inf)) / math.sqrt(2)
    return q * math.sqrt(compared * (compared + 1) / (6 * blocks))


def _friedman(ranks: Floats) -> float:
    """Friedman's p, corrected for ties; 1 where every block is one tie."""
    n, k = ranks.shape
    ties = sum(float((count**3 - count).sum()) for row in ranks for count in [np.unique(row, return_counts=True)[1]])
    correction = 1 - ties / (n * k * (k * k - 1))
    if correction <= 0:
        return 1.0
    statistic = 12 * n / (k * (k + 1)) * float(((ranks.mean(axis=0) - (k + 1) / 2) ** 2).sum()) / correction
    return float(stats.chi2.sf(statistic, k - 1))


# ---------------------------------------------------------------- two figures at a time


def pareto_front(x: Sequence[float], y: Sequence[float], signs: tuple[int, int]) -> list[int]:
    """The points that no other beats: none is at least as good in both and better in one. NaN is beaten by anything."""
    good = [(a * (signs[0] or -1), b * (signs[1] or -1)) for a, b in zip(x, y, strict=True)]
    return [
        i for i, (a, b) in enumerate(good)
        if not math.isnan(a + b) and not any(c >= a and d >= b and (c > a or d > b) for c, d in good)
    ]  # fmt: skip
