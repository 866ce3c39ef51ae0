"""The equilibrium start: the population is level from time zero on, and is the one that a long past leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from sundog.runtime.seeds import Streams
from sundog.sim.workload.generate import generate
from sundog.sim.workload.initial import mean_population
from sundog.sim.workload.spec import SyntheticSpec
from sundog.units import DAY, HOUR

LIFETIMES = {
    "exponential": {"law": "exponential", "mean": "5 h"},
    "lognormal": {"law": "lognormal", "mean": "5 h", "sigma": 1.0},
    "weibull": {"law": "weibull", "shape": 0.7, "mean": "5 h"},
    "hyperexponential": {
        "law": "hyperexponential",
        "branches": [{"probability": 0.8, "mean": "1 h"}, {"probability": 0.2, "mean": "21 h"}],
    },
    "empirical": {"law": "empirical", "quantiles": [[0, 60], [0.5, "1 h"], [0.9, "10 h"], [1, "60 h"]]},
    "deterministic": {"law": "deterministic", "value": "5 h"},
}


def make_spec(lifetimes: dict[str, Any], **changes: Any) -> SyntheticSpec:
    body: dict[str, Any] = {
        "arrivals_per_day": 3000,
        "batches": {"law": "geometric", "mean": 3, "shared_lifetime": 0.4},
        "lifetimes": lifetimes,
        "flavors": [
            {"name": "a", "vcpus": 1, "memory": 1024, "weight": 2},
            {"name": "b", "vcpus": 2, "memory": 1024, "batches": {"law": "constant", "size": 5}},
        ],
        "start": "stationary",
    }
    return SyntheticSpec.model_validate({**body, **changes})


def populations(spec: SyntheticSpec, at: list[float], seeds: int, *, origin_s: float = 0.0) -> np.ndarray:
    """VMs running at each of the times ``at`` after ``origin_s``. Shape: (seeds, len(at))."""
    found = np.empty((seeds, len(at)))
    for seed in range(seeds):
        frame = generate(spec, horizon_s=origin_s + max(at) + 1, streams=Streams(seed))
        begin = frame.arrival_s.to_numpy() - origin_s
        end = begin + frame.lifetime_s.to_numpy()
        found[seed] = [((begin <= t) & (end > t)).sum() for t in at]
    return found


@pytest.mark.parametrize("name", LIFETIMES)
def test_the_mean_population_is_level_from_the_start(name: str) -> None:
    spec = make_spec(LIFETIMES[name])
    found = populations(spec, [0.0, HOUR, 6 * HOUR, DAY], 150)
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - mean_population(spec)) < 4.5 * error).all()


@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_the_whole_distribution_at_time_zero_is_that_after_a_long_past(shared: float) -> None:
    batches = {"law": "geometric", "mean": 6, "shared_lifetime": shared}
    flavors = [{"name": "a", "vcpus": 1, "memory": 1}]
    changes: dict[str, Any] = {"batches": batches, "flavors": flavors, "arrivals_per_day": 480}
    law = {"law": "weibull", "shape": 1.5, "mean": "3 h"}
    direct = populations(make_spec(law, **changes), [0.0], 1500)[:, 0]
    # A Weibull of this shape is gone within a day.
    past = populations(make_spec(law, start="empty", **changes), [0.0], 1500, origin_s=2 * DAY)[:, 0]
    assert direct.mean() == pytest.approx(past.mean(), rel=0.04)
    assert direct.std() == pytest.approx(past.std(), rel=0.08)
    assert stats.ks_2samp(direct, past).pvalue > 0.001


def test_single_vms_are_poisson_in_number_and_their_ages_follow_the_equilibrium_law() -> None:
    spec = make_spec(
        LIFETIMES["exponential"], batches={"law": "constant"}, flavors=[{"name": "a", "vcpus": 1, "memory": 1}]
    )
    counts = populations(spec, [0.0], 1000)[:, 0]
    assert counts.var() / counts.mean() == pytest.approx(1, abs=0.15)
    frame = generate(spec.model_copy(update={"arrivals_per_day": 1e5}), horizon_s=1, streams=Streams(5))
    running = frame[frame.arrival_s < 0]
    # Of an exponential, both the age and what is left are exponential again.
    for part in (-running.arrival_s, running.arrival_s + running.lifetime_s):
        assert stats.kstest(part, "expon", args=(0, 5 * HOUR)).pvalue > 0.001


def test_batches_that_share_a_lifetime_are_found_whole() -> None:
    spec = make_spec(LIFETIMES["lognormal"], batches={"law": "constant", "size": 4, "shared_lifetime": 1})
    frame = generate(spec, horizon_s=1, streams=Streams(1))
    batches = frame[(frame.arrival_s < 0) & (frame.flavor == "a")].groupby("group")
    assert (batches.size() == 4).all()
    assert (batches.lifetime_s.nunique() == 1).all()


def test_a_daily_pattern_is_continued_from_the_day_before() -> None:
    spec = make_spec(
        {"law": "exponential", "mean": "2 h"}, pattern={"diurnal": 0.9, "peak_hour": 22}, arrivals_per_day=6000
    )
    found = populations(spec, [0.0, 12 * HOUR, DAY], 150).mean(axis=0)
    assert found[0] == pytest.approx(found[2], rel=0.05)
    assert found[0] > 2 * found[1]


def test_the_mean_population_is_rate_times_mean_lifetime_by_flavor() -> None:
    spec = make_spec(LIFETIMES["exponential"])
    assert mean_population(spec) == pytest.approx(3000 / 24 * 5)


def test_an_equilibrium_with_nobody_in_it_is_no_error() -> None:
    spec = make_spec({"law": "deterministic", "value": "1 s"}, arrivals_per_day=0.001)
    assert len(generate(spec, horizon_s=10, streams=Streams(1))) == 0
