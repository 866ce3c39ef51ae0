"""When batches arrive: a Poisson process whose rate has a daily and weekly shape, growth, and slow random swings.

The rate is ``base x profile(time of week) x growth ** days x modulation(hour)``. Sampling is exact thinning: hour by
hour a homogeneous process at a bound of the rate, whose points are kept with probability rate / bound. Where the
rate is constant within the hour every point is kept, and nothing is approximated anywhere.

Time zero is Monday, 00:00.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from sundog.sim.workload.laws import Duration, Floats
from sundog.units import DAY, HOUR, WEEK, Seconds


class Pattern(BaseModel):
    """A cosine over the day times a cosine over the week; the mean over a week is one.

    ``diurnal`` and ``weekly`` are half the swing (0.3: from 0.7 to 1.3); the peaks are at ``peak_hour`` o'clock and at
    noon of day ``peak_day`` (0 is Monday).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    diurnal: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    weekly: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    peak_hour: float = Field(default=15.0, ge=0, lt=24, allow_inf_nan=False)
    peak_day: float = Field(default=2.0, ge=0, lt=7, allow_inf_nan=False)

    def at(self, t: Floats) -> Floats:
        """The factor at times ``t`` in seconds. Shape: that of ``t``."""
        return (1 + self.diurnal * _cosine(t, self.peak_hour * HOUR, DAY)) * (
            1 + self.weekly * _cosine(t, (self.peak_day + 0.5) * DAY, WEEK)
        )

    def bound(self, hour: Floats) -> Floats:
        """The most that the factor reaches within an hour that begins at ``hour`` x 3600 s. Shape: that of ``hour``."""
        day = 1 + self.diurnal * _highest_cosine(hour * HOUR, self.peak_hour * HOUR, DAY)
        week = 1 + self.weekly * _highest_cosine(hour * HOUR, (self.peak_day + 0.5) * DAY, WEEK)
        return day * week


@dataclass(frozen=True)
class Hourly:
    """A factor for every hour of the day (24) or of the week (168); only their proportions count."""

    factors: tuple[float, ...]

    @cached_property
    def _normalised(self) -> Floats:
        factors = np.array(self.factors)
        normalised: Floats = factors / factors.mean()
        return normalised

    def at(self, t: Floats) -> Floats:
        """The factor at times ``t`` in seconds; negative times are the weeks before. Shape: that of ``t``."""
        return self._normalised[np.floor(t / HOUR).astype(np.int64) % len(self.factors)]

    def bound(self, hour: Floats) -> Floats:
        """The factor of the hour that begins at ``hour`` x 3600 s. Shape: that of ``hour``."""
        return self._normalised[hour.astype(np.int64) % len(self.factors)]


def check_hourly(factors: tuple[float, ...]) -> tuple[float, ...]:
    """``factors``, if they can be a profile.

    Raises: ValueError unless there are 24 or 168 and one is above zero.
    """
    if len(factors) not in (24, 168):
        raise ValueError(f"{len(factors)} hourly factors; give 24 (a day) or 168 (a week, from Monday 00:00)")
    if not any(factors):
        raise ValueError("all hourly factors are zero; nothing would ever arrive")
    return factors


class Modulation(BaseModel):
    """Slow random swings: every hour's rate is multiplied by a log-normal factor of mean one.

    ``sigma`` is the standard deviation of its logarithm, which is an autoregression whose correlation falls by e over
    ``correlation``. It makes counts vary more than a Poisson process lets them, as real ones do.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sigma: float = Field(gt=0, le=3, allow_inf_nan=False)
    correlation: Duration = 6 * HOUR

    def factors(self, rng: np.random.Generator, hours: int) -> Floats:
        """One factor an hour. Shape: (hours,)."""
        if hours == 0:
            return np.ones(0)
        rho = math.exp(-HOUR / self.correlation)
        shocks = rng.standard_normal(hours)
        shocks[1:] *= math.sqrt(1 - rho * rho)
        # An AR(1), started in equilibrium. A loop over hours: SciPy's filter costs more to import than years of them.
        state = np.fromiter(accumulate(shocks.tolist(), lambda before, shock: rho * before + shock), dtype=np.float64)
        return np.exp(self.sigma * state - self.sigma**2 / 2)


def arrival_times(
    rate_per_day: float,
    profile: Pattern | Hourly,
    *,
    growth_per_day: float,
    modulation: Modulation | None,
    horizon_s: Seconds,
    rng: np.random.Generator,
    modulation_rng: np.random.Generator,
) -> Floats:
    """Times of a non-homogeneous Poisson process in [0, ``horizon_s``), sorted. Shape: (number of arrivals,).

    ``rate_per_day`` is the mean over a week at time zero; ``growth_per_day`` 0.01 makes every day 1 % busier.
    """
    hours = math.ceil(horizon_s / HOUR)
    hour = np.arange(hours, dtype=np.float64)
    length = np.minimum(HOUR, horizon_s - hour * HOUR)
    log_growth = math.log1p(growth_per_day) / DAY
    steady = rate_per_day / DAY * (modulation.factors(modulation_rng, hours) if modulation else np.ones(hours))
    busiest = hour * HOUR + (length if log_growth > 0 else 0.0)
    bound = profile.bound(hour) * np.exp(log_growth * busiest)

    counts = rng.poisson(steady * bound * length)
    in_hour = np.repeat(np.arange(hours), counts)
    draws = rng.random((len(in_hour), 2))
    times = hour[in_hour] * HOUR + draws[:, 0] * length[in_hour]
    keep = draws[:, 1] * bound[in_hour] < profile.at(times) * np.exp(log_growth * times)
    # Rounding can carry the last uniform of the last hour onto the horizon itself.
    return np.sort(times[keep & (times < horizon_s)])


def expected_arrivals(
    rate_per_day: float, profile: Pattern | Hourly, growth_per_day: float, horizon_s: Seconds
) -> float:
    """An upper bound of the mean number of arrivals, close to it; to refuse what memory cannot hold."""
    hour = np.arange(math.ceil(horizon_s / HOUR), dtype=np.float64)
    with np.errstate(over="ignore"):
        bound = profile.bound(hour) * np.exp(math.log1p(growth_per_day) / DAY * (hour + (growth_per_day > 0)) * HOUR)
        return float(rate_per_day / DAY * np.sum(bound * np.minimum(HOUR, horizon_s - hour * HOUR)))


def _cosine(t: Floats, peak_s: Seconds, period_s: Seconds) -> Floats:
    return np.cos(2 * np.pi * (t - peak_s) / period_s)


def _highest_cosine(start: Floats, peak_s: Seconds, period_s: Seconds) -> Floats:
    """The highest value of the cosine in [start, start + 1 h]: one where the peak lies inside, else at an end."""
    to_peak = (peak_s - start) % period_s
    ends = np.maximum(_cosine(start, peak_s, period_s), _cosine(start + HOUR, peak_s, period_s))
    return np.where(to_peak <= HOUR, 1.0, ends)
