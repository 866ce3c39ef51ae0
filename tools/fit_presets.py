"""Fit the synthetic presets to the public traces and write ``sundog/sim/calibration/{azure,huawei}-like.yaml``.

    python tools/fit_presets.py [--traces ../shared/traces] [--out sundog/sim/calibration]

What is written are facts and fitted parameters, rounded; never a row of a trace. ``docs/explanation/workloads.md``
explains each step. The same functions measure the trace and what the preset generates, so the two are comparable.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from sundog.runtime.seeds import Streams  # noqa: E402
from sundog.sim.workload.generate import generate  # noqa: E402
from sundog.sim.workload.initial import mean_population  # noqa: E402
from sundog.sim.workload.laws import Empirical  # noqa: E402
from sundog.sim.workload.spec import SyntheticSpec  # noqa: E402
from sundog.units import DAY, HOUR, WEEK  # noqa: E402

SEEDS = range(1, 11)
BATCH_SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 22, 30, 40, 55, 75, 100, 140, 200, 260, 320, 400, 600, 1000)

# Azure V1: from its README. Lifetimes are known from the first boundary on, and are cut at the other two.
AZURE_LIFETIMES_FROM_S, AZURE_CUT_S, AZURE_END_S = 1_800_000, 2_100_000, 2_591_400
AZURE_RUNNING_AT_START = 2_013_767 - 1_870_433
AZURE_RESOLUTION_S = 300
HUAWEI_DAYS = 31
# A run of one flavor with gaps of at most this long is one batch; see the docs for why not zero.
HUAWEI_GAP_S = 5


@dataclass(frozen=True)
class Trace:
    """A trace in one form: arrival_s, vcpus, memory_gib, flavor, batch (of one flavor), lifetime_s and end_s."""

    vms: pd.DataFrame
    horizon_s: float


# ---------------------------------------------------------------------------------------------------------------- read


def read_azure(folder: Path) -> tuple[Trace, pd.DataFrame]:
    """The arrivals, and the bins of lifetime.

    ``vms`` also has ``bin`` (-1: not known), ``cut`` (censored) and ``seen_s`` (how long it was watched).
    """
    folder = folder / "azure_v1_2017_arrivals"
    raw = pd.read_parquet(folder / "azure_v1_2017_vm_arrivals.parquet")
    bins = pd.read_parquet(folder / "azure_v1_2017_duration_bins.parquet")
    vms = pd.DataFrame({
        "arrival_s": raw.arrival_s.astype(float),
        "vcpus": raw.vcpus.astype(float),
        "memory_gib": raw.mem_gb.astype(float),
        "flavor": [f"{v}c-{m:g}g" for v, m in zip(raw.vcpus, raw.mem_gb, strict=True)],
        "bin": raw.dur_bin.fillna(-1).astype(int),
        "cut": raw.dur_censored.eq(True),
    })  # fmt: skip
    vms["batch"] = pd.factorize(pd.MultiIndex.from_arrays([raw.batch_id, vms.flavor]))[0]
    cut = np.where(vms.arrival_s < AZURE_CUT_S, AZURE_CUT_S, AZURE_END_S)
    vms["seen_s"] = np.where(vms.bin >= 0, cut - vms.arrival_s, np.nan)
    middle = ((bins.min_s + bins.max_s) / 2).to_numpy()
    # Inside a bin the age is not known; its middle will do for counting who runs at once.
    vms["lifetime_s"] = np.where(vms.bin >= 0, np.maximum(middle[vms.bin], AZURE_RESOLUTION_S / 3), np.nan)
    vms["end_s"] = np.where(vms.cut, AZURE_END_S, vms.arrival_s + vms.lifetime_s)
    return Trace(vms, 30 * DAY), bins


def read_huawei(folder: Path) -> Trace:
    """The completed VMs; a batch is a run of one flavor whose gaps are at most ``HUAWEI_GAP_S``."""
    raw = pd.read_parquet(folder / "huawei_east_1" / "huawei_east_1_completed.parquet")
    vms = pd.DataFrame({
        "arrival_s": raw.arrival_s.astype(float),
        "vcpus": raw.vcpus.astype(float),
        "memory_gib": raw.mem_gb.astype(float),
        "flavor": [f"{v}c-{m}g" for v, m in zip(raw.vcpus, raw.mem_gb, strict=True)],
        "lifetime_s": raw.lifetime_s.astype(float),
    })  # fmt: skip
    vms["end_s"] = vms.arrival_s + vms.lifetime_s
    ordered = vms.sort_values(["flavor", "arrival_s"], kind="stable")
    new = (ordered.arrival_s.diff() > HUAWEI_GAP_S) | (ordered.flavor != ordered.flavor.shift())
    vms["batch"] = new.cumsum().astype(int)
    return Trace(vms, HUAWEI_DAYS * DAY)


# ----------------------------------------------------------------------------------------------------------- the parts


def hourly(times: np.ndarray, horizon_s: float, weights: np.ndarray | None = None) -> np.ndarray:
    """Counts (or sums of ``weights``) an hour. Shape: (whole hours,)."""
    hours = int(horizon_s // HOUR)
    return np.bincount((times // HOUR).astype(int), weights, minlength=hours)[:hours].astype(float)


def detrended(counts: np.ndarray) -> tuple[np.ndarray, float]:
    """``counts`` over their exponential trend, of mean one; and that trend, as growth a day."""
    hour = np.arange(len(counts))
    slope, offset = np.polyfit(hour, np.log(np.maximum(counts, 0.5)), 1)
    flat = counts / np.exp(slope * hour + offset)
    return flat / flat.mean(), float(np.expm1(24 * slope))


def daily(flat: np.ndarray) -> np.ndarray:
    """Mean of each hour of the day, of mean one. Shape: (24,)."""
    means = np.array([flat[hour::24].mean() for hour in range(24)])
    return means / means.mean()


def weekly(flat: np.ndarray) -> np.ndarray:
    """Mean of each day of the week times mean of each hour of the day, of mean one. Shape: (168,).

    Four weeks are too few for 168 free means; a product has the shape with a fifth of their noise.
    """
    day = np.arange(len(flat)) // 24 % 7
    factors = np.outer([flat[day == d].mean() for d in range(7)], daily(flat)).ravel()
    return factors / factors.mean()


def modulation(flat: np.ndarray, factors: np.ndarray) -> tuple[float, float]:
    """Sigma of the log-normal factor and its correlation time (s), from the autocovariance of what the profile leaves.

    Lags 1 to 24 h only: lag 0 also holds the noise of batches, which the generator makes by itself.
    """
    left = flat / factors[np.arange(len(flat)) % len(factors)] - 1
    left = left - left.mean()
    lags = np.arange(1, 25)
    covariance = np.array([np.mean(left[:-lag] * left[lag:]) for lag in lags])
    slope, offset = np.polyfit(lags, np.log(np.maximum(covariance, 1e-4)), 1)
    hours = float(np.clip(-1 / min(slope, -1e-9), 1, 120))
    return float(np.sqrt(np.log1p(np.exp(offset)))), hours * HOUR


def batch_table(sizes: np.ndarray) -> list[list[float]]:
    """P(size <= k) at chosen sizes; the last is the largest seen, rounded up to two figures."""
    largest = int(sizes.max())
    top = int(np.ceil(largest / 10) * 10) if largest > 10 else largest
    rows = [[round(float((sizes <= k).mean()), 5), k] for k in BATCH_SIZES if k < largest]
    rows = [row for row, before in zip(rows, [[0.0, 0], *rows], strict=False) if before[0] < row[0] < 1]
    return [*rows, [1, top]]


def thin(p: np.ndarray, x: np.ndarray, tolerance: float) -> np.ndarray:
    """Rows of a quantile table that keep its distribution function within ``tolerance`` (Douglas and Peucker)."""
    if not len(x):
        return np.zeros(0, dtype=int)
    log, keep, todo = np.log(x), {0, len(x) - 1}, [(0, len(x) - 1)]
    while todo:
        low, high = todo.pop()
        if high - low < 2:
            continue
        error = np.abs(p[low + 1 : high] - np.interp(log[low + 1 : high], log[[low, high]], p[[low, high]]))
        if error.max() > tolerance:
            middle = low + 1 + int(error.argmax())
            keep.add(middle)
            todo += [(low, middle), (middle, high)]
    return np.array(sorted(keep))


def table(p: np.ndarray, x: np.ndarray, tolerance: float, tail_tolerance: float) -> list[list[float]]:
    """Rows (probability, seconds) for the empirical law: thinned, rounded, rising strictly in both.

    From a day on ``tail_tolerance`` holds: few VMs live so long, but they are most of the VM-time.
    """
    ps, xs = np.asarray(p), np.asarray(x)
    rows: list[list[float]] = []
    body = xs < DAY
    for i in [*thin(ps[body], xs[body], tolerance), *(thin(ps[~body], xs[~body], tail_tolerance) + body.sum())]:
        row = [round(float(ps[i]), 5), float(f"{xs[i]:.4g}")]
        if not rows or (row[0] > rows[-1][0] and row[1] > rows[-1][1]):
            rows.append(row)
    rows[-1] = [1, rows[-1][1]]
    return rows


def shared_share(vms: pd.DataFrame) -> float:
    """Intraclass correlation of the logarithm of lifetime within batches, each flavor's mean taken out."""
    known = vms[vms.lifetime_s.notna() & ~vms.get("cut", pd.Series(False, index=vms.index))]
    log = np.log(known.lifetime_s)
    log = log - log.groupby(known.flavor).transform("mean")
    size = log.groupby(known.batch).transform("size")
    many = size > 1
    inside = (log - log.groupby(known.batch).transform("mean"))[many]
    within = float((inside**2).sum() / (1 - 1 / size[many]).sum())
    return 1 - within / float(log[many].var())


def survival(vms: pd.DataFrame, bins: pd.DataFrame, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Product-limit estimate of P(lifetime > upper edge of a bin). Shapes: (bins,) edges in s, (bins,) survival.

    A bin's hazard is taken from the VMs that could have been seen through the whole bin; those cut inside it say
    nothing that depends on where in the bin they would have ended. It stops where fewer than ``least`` are left.
    """
    lifetimes, seen, cut = vms.bin.to_numpy(), vms.seen_s.to_numpy(), vms.cut.to_numpy()
    edges, values, alive = [], [], 1.0
    for index, upper in zip(bins.bin, bins.max_s, strict=True):
        at_risk = (seen >= upper + AZURE_RESOLUTION_S) & (lifetimes >= index)
        if at_risk.sum() < least:
            break
        alive *= 1 - ((lifetimes == index) & at_risk & ~cut).sum() / at_risk.sum()
        # Both ends are rounded to five minutes, so a recorded d means d +- 5 min with mean d.
        edges.append(upper + AZURE_RESOLUTION_S / 2)
        values.append(alive)
    return np.array(edges, dtype=float), np.array(values)


def with_tail(edges: np.ndarray, alive: np.ndarray, alpha: float, longest_s: float) -> tuple[np.ndarray, np.ndarray]:
    """The table (p, x), from 30 s on, continued by a Pareto law of index ``alpha`` truncated at ``longest_s``."""
    x = np.geomspace(edges[-1], longest_s, 9)
    tail = (x**-alpha - longest_s**-alpha) / (x[0] ** -alpha - longest_s**-alpha) * alive[-1]
    return np.concatenate(([0.0], 1 - alive, 1 - tail[1:])), np.concatenate(([30.0], edges, x[1:]))


# ------------------------------------------------------------------------------------------------------------ the fits


def flavors_of(trace: Trace, least: int, laws: dict[str, Any]) -> list[dict[str, Any]]:
    """Flavors by falling share of VMs. Those with ``least`` VMs have batch sizes of their own."""
    found = []
    for name, mine in trace.vms.groupby("flavor"):
        flavor: dict[str, Any] = {
            "name": name,
            "vcpus": float(mine.vcpus.iloc[0]),
            "memory": f"{mine.memory_gib.iloc[0]:g} GiB",
            "weight": round(100 * len(mine) / len(trace.vms), 4),
        }
        if len(mine) >= least:
            flavor["batches"] = batches_of(mine)
        if name in laws:
            flavor["lifetimes"] = {"law": "empirical", "quantiles": laws[name]}
        found.append(flavor)
    return sorted(found, key=lambda flavor: -flavor["weight"])


def batches_of(vms: pd.DataFrame) -> dict[str, Any]:
    sizes = vms.groupby("batch").size().to_numpy()
    return {
        "law": "empirical",
        "shared_lifetime": round(float(np.clip(shared_share(vms), 0, 1)), 3),
        "quantiles": batch_table(sizes),
    }


def fit_azure(trace: Trace, bins: pd.DataFrame) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ``synthetic`` body, and facts about the fit."""
    vms = trace.vms
    size = vms.groupby("batch").batch.transform("size").to_numpy()
    capped, _ = detrended(hourly(vms.arrival_s.to_numpy(), trace.horizon_s, np.minimum(size, 50) / size))
    flat, growth = detrended(hourly(vms.arrival_s.to_numpy(), trace.horizon_s))
    factors = weekly(capped)
    sigma, correlation = modulation(flat, factors)

    known = vms[vms.bin >= 0]
    edges, alive = survival(known, bins, 1000)
    late = edges >= 2 * DAY
    alpha = -float(np.polyfit(np.log(edges[late]), np.log(alive[late]), 1)[0])
    main = [name for name, mine in known.groupby("flavor") if len(mine) >= 1000]
    curves = {name: survival(known[known.flavor == name], bins, 200) for name in main}
    share = {name: float((vms.flavor == name).mean()) for name in main}
    rest = 1 - sum(share.values())

    first_week = float((vms.arrival_s < WEEK).sum()) / 7
    wanted = AZURE_RUNNING_AT_START / first_week * DAY

    def mean(longest_s: float) -> float:
        law = {name: curve_mean(*curve, alpha, longest_s) for name, curve in curves.items()}
        return sum(share[name] * law[name] for name in main) + rest * curve_mean(edges, alive, alpha, longest_s)

    longest = float(f"{brentq(lambda days: mean(days * DAY) - wanted, 10, 5000):.3g}") * DAY
    laws = {name: table(*with_tail(*curve, alpha, longest), 0.0012, 0.0) for name, curve in curves.items()}
    body = {
        "arrivals_per_day": round(len(vms) / 30, 0),
        "hourly": [round(float(f), 3) for f in factors],
        "modulation": {"sigma": round(sigma, 3), "correlation": f"{correlation / HOUR:.1f} h"},
        "batches": batches_of(vms),
        "lifetimes": {"law": "empirical", "quantiles": table(*with_tail(edges, alive, alpha, longest), 0.0012, 0.0)},
        "flavors": flavors_of(trace, 1000, laws),
    }
    facts = {
        "vms": len(vms),
        "vms_with_lifetime": len(known),
        "censored_share": round(float(known.cut.mean()), 4),
        "batches_of_one_flavor": int(vms.batch.nunique()),
        "growth_per_day_not_in_the_preset": round(growth, 4),
        "survival_at_last_edge": round(float(alive[-1]), 4),
        "last_edge_days": round(float(edges[-1] / DAY), 2),
        "pareto_index_of_tail": round(alpha, 3),
        "longest_life_days": round(longest / DAY, 1),
        "mean_lifetime_days_wanted": round(wanted / DAY, 3),
        "running_at_start_of_trace": AZURE_RUNNING_AT_START,
        "arrivals_per_day_in_first_week": round(first_week),
    }
    return body, facts


def curve_mean(edges: np.ndarray, alive: np.ndarray, alpha: float, longest_s: float) -> float:
    """Mean, in s, of the law that the table describes."""
    p, x = with_tail(edges, alive, alpha, longest_s)
    keep = np.concatenate((np.diff(p) > 0, [True]))
    p[-1] = 1.0
    rows = tuple(zip(p[keep], x[keep], strict=True))
    return Empirical.model_validate({"quantiles": rows}).mean_s()


def fit_huawei(trace: Trace) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ``synthetic`` body, and facts about the fit."""
    vms = trace.vms
    size = vms.groupby("batch").batch.transform("size").to_numpy()
    capped = hourly(vms.arrival_s.to_numpy(), trace.horizon_s, np.minimum(size, 50) / size)
    flat = hourly(vms.arrival_s.to_numpy(), trace.horizon_s)
    factors = daily(capped)
    sigma, correlation = modulation(flat / flat.mean(), factors)
    laws = {name: ecdf_table(mine.lifetime_s.to_numpy()) for name, mine in vms.groupby("flavor") if len(mine) >= 100}
    body = {
        "arrivals_per_day": round(len(vms) / HUAWEI_DAYS, 0),
        "hourly": [round(float(f), 3) for f in factors],
        "modulation": {"sigma": round(sigma, 3), "correlation": f"{correlation / HOUR:.1f} h"},
        "batches": batches_of(vms),
        "lifetimes": {"law": "empirical", "quantiles": ecdf_table(vms.lifetime_s.to_numpy())},
        "flavors": flavors_of(trace, 100, laws),
    }
    facts = {
        "vms": len(vms),
        "batches": int(vms.batch.nunique()),
        "mean_lifetime_s": round(float(vms.lifetime_s.mean())),
        "alive_at_day_31_and_absent": 9117,
    }
    return body, facts


def ecdf_table(lifetimes: np.ndarray) -> list[list[float]]:
    """Quantiles on a grid of 20 points a decade. A whole second n stands for [n - 0.5, n + 0.5)."""
    low, high = np.floor(np.log10(lifetimes.min())), np.log10(lifetimes.max() + 0.5)
    grid = np.unique(np.round(10 ** np.arange(low, high, 0.05))) + 0.5
    p = np.searchsorted(np.sort(lifetimes), grid, side="right") / len(lifetimes)
    first = int(np.flatnonzero(p > 0)[0])
    grid, p = grid[max(first - 1, 0) :], p[max(first - 1, 0) :]
    if p[0] > 0:
        grid, p = np.concatenate(([grid[0] - 0.5], grid)), np.concatenate(([0.0], p))
    if p[-1] < 1:
        grid, p = np.append(grid, 10**high), np.append(p, 1.0)
    return table(p, grid, 0.003, 0.0005)


# --------------------------------------------------------------------------------------------------------------- judge


def as_trace(frame: pd.DataFrame, horizon_s: float) -> Trace:
    """What the generator made, in the form of the trace."""
    vms = pd.DataFrame({
        "arrival_s": frame.arrival_s,
        "vcpus": frame.vcpus,
        "memory_gib": frame.memory_mb / 1024,
        "lifetime_s": frame.lifetime_s,
        "end_s": frame.arrival_s + frame.lifetime_s,
        "flavor": frame.flavor,
        "batch": frame.arrival_s.diff().ne(0).cumsum(),
    })  # fmt: skip
    return Trace(vms, horizon_s)


def arrival_figures(trace: Trace) -> dict[str, float]:
    """Figures of the arrival process; the dispersions are of counts over their exponential trend."""
    vms, horizon_s = trace.vms, trace.horizon_s
    counts = hourly(vms.arrival_s.to_numpy(), horizon_s)
    flat, _ = detrended(counts)
    per_5min = np.bincount((vms.arrival_s // 300).astype(int), minlength=int(horizon_s // 300))[: int(horizon_s // 300)]
    trend = np.repeat(counts / flat, 12) / 12
    flat5 = per_5min / trend
    sizes = vms.groupby("batch").size()
    return {
        "mean rate, VMs a day": len(vms) / horizon_s * DAY,
        "mean vCPUs of a VM": float(vms.vcpus.mean()),
        "mean memory of a VM, GiB": float(vms.memory_gib.mean()),
        "mean batch size, VMs": float(sizes.mean()),
        "mean batch size seen by a VM": float((sizes**2).sum() / sizes.sum()),
        "index of dispersion of VMs in 5 min": float(flat5.var() * trend.mean()),
        "index of dispersion of VMs in 1 h": float(flat.var() * counts.mean()),
        "busiest hour of day / mean": float(max(flat[i::24].mean() for i in range(24))),
        "quietest hour of day / mean": float(min(flat[i::24].mean() for i in range(24))),
    }


def concurrency(vms: pd.DataFrame, begin_s: float, end_s: float, settle_s: float) -> dict[str, float]:
    """vCPUs running at once, of the VMs that arrive in [begin, end), sampled every 5 min after ``settle_s``."""
    mine = vms[(vms.arrival_s >= begin_s) & (vms.arrival_s < end_s)]
    steps = int((end_s - begin_s) // 300)
    into = ((mine.arrival_s - begin_s) // 300).astype(int)
    out = np.minimum(((mine.end_s - begin_s) // 300).astype(int), steps)
    change = np.bincount(into, mine.vcpus, minlength=steps + 1) - np.bincount(out, mine.vcpus, minlength=steps + 1)
    level = np.cumsum(change[:steps])[int(settle_s // 300) :]
    return {"concurrent vCPUs, peak / mean": float(level.max() / level.mean())}


def azure_figures(trace: Trace, alive: dict[str, float]) -> dict[str, float]:
    figures = {**arrival_figures(trace), **{f"share living over {name}": value for name, value in alive.items()}}
    return {**figures, **concurrency(trace.vms, AZURE_CUT_S, AZURE_END_S, DAY)}


def huawei_figures(trace: Trace) -> dict[str, float]:
    quantiles = trace.vms.lifetime_s.quantile([0.1, 0.25, 0.5, 0.75, 0.9, 0.99])
    lifetimes = {f"lifetime quantile {p:g}, s": float(x) for p, x in quantiles.items()}
    mean = {"mean lifetime, s": float(trace.vms.lifetime_s.mean())}
    return {**arrival_figures(trace), **lifetimes, **mean, **concurrency(trace.vms, 0, trace.horizon_s, 3 * DAY)}


AZURE_AGES = {"12.5 min": 750.0, "1 h": 3750.0, "6 h": 21750.0, "1 d": 86550.0, "3 d": 259350.0, "5 d": 432150.0}


def judge(body: dict[str, Any], horizon_s: float, real: dict[str, float], measure: Any) -> list[dict[str, Any]]:
    """Each figure of the trace beside the mean and the standard deviation of ten generated ones."""
    spec = SyntheticSpec.model_validate(body)
    made = [measure(as_trace(generate(spec, horizon_s=horizon_s, streams=Streams(s)), horizon_s)) for s in SEEDS]
    return [
        {
            "figure": name,
            "trace": figure(value),
            "generated": figure(np.mean([m[name] for m in made])),
            "sd": float(f"{np.std([m[name] for m in made], ddof=1):.2g}"),
        }
        for name, value in real.items()
    ]


def figure(value: float) -> float:
    return float(f"{value:.4g}") if abs(value) < 1e4 else round(float(value))


def azure_ages(known: pd.DataFrame, bins: pd.DataFrame) -> dict[str, float]:
    edges, alive = survival(known, bins, 1000)
    return {name: float(alive[int(np.flatnonzero(edges == age)[0])]) for name, age in AZURE_AGES.items()}


def generated_ages(trace: Trace) -> dict[str, float]:
    return {name: float((trace.vms.lifetime_s > age).mean()) for name, age in AZURE_AGES.items()}


# --------------------------------------------------------------------------------------------------------------- write


def emit(value: Any, indent: int = 0) -> list[str]:
    """``value`` as lines of YAML: mappings and lists of mappings or text as blocks, all else on wrapped lines."""
    pad = " " * indent
    lines = []
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, dict) or (isinstance(item, list) and isinstance(item[0], dict | str)):
                lines += [f"{pad}{key}:", *emit(item, indent + 2)]
            else:
                wrapped = textwrap.wrap(flow(item), 114 - indent, break_long_words=False, break_on_hyphens=False)
                short = len(key) + 2 + len(wrapped[0]) < 114 - indent and len(wrapped) == 1
                lines += [f"{pad}{key}: {wrapped[0]}"] if short else [f"{pad}{key}:", *(f"{pad}  {x}" for x in wrapped)]
        return lines
    for item in value:
        if isinstance(item, dict) and "figure" not in item:
            first, *others = emit(item, indent + 2)
            lines += [f"{pad}- {first.strip()}", *others]
        else:
            lines.append(f"{pad}- {flow(item)}")
    return lines


def flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item).replace(", ", ",\N{NO-BREAK SPACE}") for item in value) + "]"
    if isinstance(value, str):
        return value if re.fullmatch(r"[A-Za-z][\w ./()-]*|[\d.]+ [A-Za-z]+", value) else json.dumps(value)
    return f"{value:.10g}"


def write(path: Path, document: dict[str, Any]) -> None:
    head = "# Written by tools/fit_presets.py: facts and fitted parameters, no rows of the data."
    # Pairs were glued by no-break spaces, so that no line ends inside one.
    text = "\n".join([head, *emit(document), ""]).replace("\N{NO-BREAK SPACE}", " ")
    path.write_text(text, encoding="utf-8")


def azure(folder: Path) -> dict[str, Any]:
    trace, bins = read_azure(folder)
    body, facts = fit_azure(trace, bins)
    facts["mean_lifetime_days_fitted"] = figure(
        mean_population(SyntheticSpec.model_validate(body)) / body["arrivals_per_day"]
    )
    real = azure_figures(trace, azure_ages(trace.vms[trace.vms.bin >= 0], bins))
    return {
        "name": "azure-like",
        "summary": "A month of VMs of one public-cloud region: many small, short-lived VMs in heavy-tailed batches.",
        "source": {
            "dataset": "Azure Public Dataset V1 (2017), as processed by Bergsma et al. (VM arrivals and lifetime bins)",
            "url": "https://github.com/huaweicloud/trace_generation_rnn",
            "licence": "CC BY 4.0",
            "citation": [
                "Cortez et al., Resource Central, SOSP 2017",
                "Bergsma et al., Generating Complex, Realistic Cloud Workloads using RNNs, SOSP 2021",
            ],
        },
        "fit": {
            "script": "tools/fit_presets.py",
            "explained_in": "docs/explanation/workloads.md",
            "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
            **facts,
        },
        "goodness": judge(body, trace.horizon_s, real, lambda made: azure_figures(made, generated_ages(made))),
        "not_captured": [
            "batches of several flavors (a batch of the trace is split by flavor), and runs of batches of one tenant",
            "growth: arrivals rose by about 2 % a day, mostly through larger batches; set growth_per_day to have it",
            "large batches come at night more often than small ones; here they share one profile",
            "lifetimes beyond five days were not observed: the tail is a truncated Pareto law with a calibrated end",
            "lifetimes that change over the month, with the hour of arrival, or with the size of the batch",
            "shared lifetimes are equal to the second here, and equal to within minutes in the trace",
        ],
        "synthetic": body,
    }  # fmt: skip


def huawei(folder: Path) -> dict[str, Any]:
    trace = read_huawei(folder)
    body, facts = fit_huawei(trace)
    return {
        "name": "huawei-like",
        "summary": "A month of completed VMs of one region: fifteen sizes, half of them gone within the hour.",
        "source": {
            "dataset": "Huawei-East-1 (2021 release), completed VMs, as converted by the authors of SPANE",
            "url": "https://github.com/huaweicloud/VM-placement-dataset",
            "licence": "CC BY-NC 4.0 (the data; nothing of it is contained here)",
            "citation": ["Huawei VM-placement-dataset; Sheng et al., VMAgent"],
        },
        "fit": {
            "script": "tools/fit_presets.py",
            "explained_in": "docs/explanation/workloads.md",
            "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
            **facts,
        },
        "goodness": judge(body, trace.horizon_s, huawei_figures(trace), huawei_figures),
        "not_captured": [
            "VMs still alive on day 31 (7.3 % of the original): long lives are missing, so the cloud does not fill up",
            "waves: runs of batches of one flavor some seconds apart, and jobs that come back every hour or day",
            "which hours are busy for which flavor; all share one profile",
            "shared lifetimes are equal to the second here, and equal to within seconds or minutes in the trace",
            "small flavors shared cores in the original; vCPUs here are nominal",
        ],
        "synthetic": body,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=Path, default=REPOSITORY / ".." / "shared" / "traces")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "sundog" / "sim" / "calibration")
    options = parser.parse_args()
    if not options.traces.is_dir():
        parser.error(f"{options.traces} is not a folder of traces; give it with --traces")
    for document in (azure(options.traces), huawei(options.traces)):
        write(options.out / f"{document['name']}.yaml", document)
        for row in document["goodness"]:
            print(f"{document['name']:12} {row['figure']:40} {row['trace']:>10} {row['generated']:>10} +- {row['sd']}")


if __name__ == "__main__":
    main()
