"""The arrival process against the theory of Poisson processes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sundog.runtime.seeds import Streams
from sundog.sim.workload.arrivals import Hourly, Modulation, Pattern, arrival_times
from sundog.units import DAY, HOUR, WEEK


def arrivals(
    rate: float,
    profile: Pattern | Hourly | None = None,
    *,
    horizon_s: float = WEEK,
    growth: float = 0.0,
    modulation: Modulation | None = None,
    seed: int = 1,
) -> np.ndarray:
    streams = Streams(seed)
    return arrival_times(
        rate,
        profile or Pattern(),
        growth_per_day=growth,
        modulation=modulation,
        horizon_s=horizon_s,
        rng=streams.stream("arrivals"),
        modulation_rng=streams.stream("modulation"),
    )


def per_hour(times: np.ndarray, hours: int) -> np.ndarray:
    return np.bincount((times // HOUR).astype(int), minlength=hours)


def test_gaps_of_a_steady_process_are_exponential() -> None:
    gaps = np.diff(arrivals(5000))
    assert stats.kstest(gaps, "expon", args=(0, DAY / 5000)).pvalue > 0.001


PROFILES = {
    "pattern": Pattern(diurnal=0.6, weekly=0.3, peak_hour=15, peak_day=2),
    "a day of factors": Hourly(tuple(float(h % 7) for h in range(24))),
    "a week of factors": Hourly(tuple(1.0 + (h % 11) / 4 for h in range(168))),
}


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("growth", [0.0, 0.1, -0.1])
def test_counts_an_hour_are_poisson_with_the_integral_of_the_rate(name: str, growth: float) -> None:
    profile, rate = PROFILES[name], 20_000.0
    fine = np.arange(0, WEEK, 10.0) + 5
    intensity = rate / DAY * profile.at(fine) * np.exp(np.log1p(growth) * fine / DAY)
    expected = intensity.reshape(168, -1).sum(axis=1) * 10
    counts = per_hour(arrivals(rate, profile, growth=growth), 168)
    some = expected > 0
    assert (counts[~some] == 0).all()
    chi_square = ((counts - expected)[some] ** 2 / expected[some]).sum()
    assert 0.001 < stats.chi2.sf(chi_square, some.sum()) < 0.999


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_has_mean_one_over_a_week(name: str) -> None:
    t = np.arange(0, WEEK, 30.0) + 15
    assert PROFILES[name].at(t).mean() == pytest.approx(1, abs=1e-6)


@given(
    diurnal=st.floats(0, 1),
    weekly=st.floats(0, 1),
    peak_hour=st.floats(0, 23.99),
    peak_day=st.floats(0, 6.99),
    hour=st.integers(-200, 200),
)
def test_the_bound_of_an_hour_is_never_below_the_rate_within_it(
    diurnal: float, weekly: float, peak_hour: float, peak_day: float, hour: int
) -> None:
    pattern = Pattern(diurnal=diurnal, weekly=weekly, peak_hour=peak_hour, peak_day=peak_day)
    inside = hour * HOUR + np.linspace(0, HOUR, 61)
    assert pattern.at(inside).max() <= pattern.bound(np.array([float(hour)]))[0] * (1 + 1e-12)


def test_the_busiest_hour_is_the_peak_hour() -> None:
    counts = per_hour(arrivals(100_000, Pattern(diurnal=0.5, peak_hour=15.5), horizon_s=DAY), 24)
    assert counts.argmax() in (14, 15, 16)


def test_the_rate_follows_the_hours_of_the_week_before_time_zero_too() -> None:
    hourly = Hourly(tuple(float(h) for h in range(24)))
    assert hourly.at(np.array([-1.0, -3601.0])).tolist() == pytest.approx([2.0, 22 / 11.5])


def test_modulation_has_mean_one_and_the_correlation_it_was_given() -> None:
    law = Modulation(sigma=0.4, correlation=6 * HOUR)
    factors = law.factors(Streams(7).stream("m"), 200_000)
    log = np.log(factors)
    assert factors.mean() == pytest.approx(1, abs=0.02)
    assert log.std() == pytest.approx(0.4, rel=0.03)
    for lag in (1, 6, 12):
        assert np.corrcoef(log[:-lag], log[lag:])[0, 1] == pytest.approx(np.exp(-lag / 6), abs=0.03)


def test_modulation_makes_counts_vary_more_than_poisson_and_leaves_the_mean() -> None:
    law = Modulation(sigma=0.3, correlation=2 * HOUR)
    counts = np.concatenate([per_hour(arrivals(24_000, modulation=law, seed=s), 168) for s in range(20)])
    assert counts.mean() == pytest.approx(1000, rel=0.03)
    theory = 1 + 1000 * np.expm1(0.09)
    assert counts.var() / counts.mean() == pytest.approx(theory, rel=0.25)


@given(horizon_s=st.floats(1, 3 * DAY), rate=st.floats(1, 5000), seed=st.integers(0, 100))
def test_arrivals_are_sorted_and_before_the_horizon(horizon_s: float, rate: float, seed: int) -> None:
    times = arrivals(rate, Pattern(diurnal=1), horizon_s=horizon_s, seed=seed)
    assert (np.diff(times) >= 0).all()
    assert ((times >= 0) & (times < horizon_s)).all()
