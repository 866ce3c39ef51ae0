"""Laws of lifetime against theory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy import stats

from sundog.runtime.seeds import Streams
from sundog.sim.workload.laws import ClosedLaw, Law, LifetimeLaw, open_uniforms

ADAPTER: TypeAdapter[Law] = TypeAdapter(LifetimeLaw)
QUANTILES = [[0, "10 s"], [0.5, "5 min"], [0.9, "2 h"], [1, "10 d"]]
LAWS = {
    "exponential": {"law": "exponential", "mean": "2 h"},
    "lognormal": {"law": "lognormal", "median": "30 min", "sigma": 1.5},
    "lognormal by mean": {"law": "lognormal", "mean": "2 h", "sigma": 0.8},
    "weibull": {"law": "weibull", "shape": 0.7, "scale": "1 h"},
    "weibull by mean": {"law": "weibull", "shape": 2.0, "mean": "1 h"},
    "hyperexponential": {
        "law": "hyperexponential",
        "branches": [
            {"probability": 0.8, "mean": "10 min"},
            {"probability": 0.0, "mean": "1 d"},
            {"probability": 0.2, "mean": "10 h"},
        ],
    },
    "empirical": {"law": "empirical", "quantiles": QUANTILES},
}
# What scipy says of the same law.
THEORY = {
    "exponential": stats.expon(scale=7200),
    "lognormal": stats.lognorm(1.5, scale=1800),
    "lognormal by mean": stats.lognorm(0.8, scale=7200 * np.exp(-0.32)),
    "weibull": stats.weibull_min(0.7, scale=3600),
    "weibull by mean": stats.weibull_min(2.0, scale=3600 / (np.sqrt(np.pi) / 2)),
}
N = 40_000


def make_law(name: str) -> Law:
    return ADAPTER.validate_python(LAWS[name])


def rng(name: str) -> np.random.Generator:
    return Streams(11).stream(name)


@pytest.mark.parametrize("name", LAWS)
def test_samples_follow_the_distribution_function_of_their_law(name: str) -> None:
    law = make_law(name)
    assert stats.kstest(law.sample(rng(name), N), law.cdf).pvalue > 0.001


@pytest.mark.parametrize("name", THEORY)
def test_laws_agree_with_scipy(name: str) -> None:
    law, theory = make_law(name), THEORY[name]
    x = np.geomspace(1, 1e6, 50)
    assert law.sf(x) == pytest.approx(theory.sf(x), abs=1e-12)
    assert law.mean_s() == pytest.approx(theory.mean())
    assert isinstance(law, ClosedLaw)
    p = np.linspace(0.01, 0.99, 50)
    assert law.quantile(p) == pytest.approx(theory.ppf(p))


@pytest.mark.parametrize("name", LAWS)
def test_the_mean_is_the_area_under_the_survival_function(name: str) -> None:
    law = make_law(name)
    x = np.concatenate(([0.0], np.geomspace(1e-3, 1e8, 400_000)))
    assert law.mean_s() == pytest.approx(np.trapezoid(law.sf(x), x), rel=1e-3)


@pytest.mark.parametrize("name", LAWS)
def test_length_biased_lifetimes_weigh_each_lifetime_by_its_length(name: str) -> None:
    law = make_law(name)
    x = np.concatenate(([0.0], np.geomspace(1e-2, 1e8, 400_000)))
    middle = (x[1:] + x[:-1]) / 2
    biased = np.concatenate(([0.0], np.cumsum(middle * np.diff(law.cdf(x)))))
    sample = law.length_biased(open_uniforms(rng(name), (N, 2)))
    assert stats.kstest(sample, lambda t: np.interp(t, x, biased / biased[-1])).pvalue > 0.001


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("age_s", [60.0, 3600.0, 30000.0])
def test_lifetimes_given_an_age_follow_the_conditional_law(name: str, age_s: float) -> None:
    law = make_law(name)
    lifetimes = law.beyond(np.full(N, age_s), open_uniforms(rng(name), (N, 2)))
    assert lifetimes.min() >= age_s
    assert stats.kstest(lifetimes, lambda t: 1 - law.sf(t) / law.sf(age_s)).pvalue > 0.001


def test_hyperexponential_survivors_of_a_great_age_are_of_the_longest_branch() -> None:
    law = make_law("hyperexponential")
    left = law.beyond(np.full(N, 1e8), open_uniforms(rng("old"), (N, 2))) - 1e8
    assert left.mean() == pytest.approx(36000, rel=0.03)


def test_deterministic_lifetimes_are_all_equal_whatever_the_age() -> None:
    law = ADAPTER.validate_python({"law": "deterministic", "value": "90 min"})
    draws = open_uniforms(rng("d"), (5, 2))
    for lifetimes in (law.at(draws), law.beyond(np.full(5, 100.0), draws), law.length_biased(draws)):
        assert lifetimes.tolist() == [5400.0] * 5
    assert law.mean_s() == 5400
    assert law.sf([5399.0, 5400.0]).tolist() == [1.0, 0.0]


def test_infinite_lifetimes_are_not_a_number_and_their_mean_is_infinite() -> None:
    law = ADAPTER.validate_python({"law": "infinite"})
    assert np.isnan(law.sample(rng("i"), 3)).all()
    assert law.mean_s() == np.inf
    assert law.sf([1e12]).tolist() == [1.0]


@given(
    p=st.lists(st.floats(0.01, 0.99), min_size=1, max_size=8, unique=True).map(sorted),
    logs=st.lists(st.floats(-2, 18), min_size=3, max_size=10, unique=True).map(sorted),
)
def test_empirical_quantiles_and_distribution_function_are_inverse(p: list[float], logs: list[float]) -> None:
    n = min(len(p), len(logs) - 2)
    x = np.exp(logs[: n + 2])
    probabilities = [0.0, *p[:n], 1.0]
    if not (np.diff(x) > 1e-6 * x[1:]).all() or not (np.diff(probabilities) > 1e-6).all():
        return
    law = ADAPTER.validate_python({"law": "empirical", "quantiles": list(zip(probabilities, x, strict=True))})
    assert isinstance(law, ClosedLaw)
    grid = np.linspace(0.001, 0.999, 101)
    assert law.cdf(law.quantile(grid)) == pytest.approx(grid, abs=1e-6)
    assert law.quantile(probabilities[1:-1]) == pytest.approx(x[1:-1], rel=1e-6)


@pytest.mark.parametrize(
    ("given_law", "says"),
    [
        ({"law": "lognorml", "median": 1, "sigma": 1}, "unknown law 'lognorml'; did you mean lognormal"),
        ({"law": ["a"]}, "unknown law"),
        ({"mean": 5}, "which law? add 'law:'"),
        ("2 h", "is not a law"),
        ({"law": "exponential", "mean": 0}, "not above zero"),
        ({"law": "exponential", "mean": "-2 h"}, "not above zero"),
        ({"law": "exponential", "mean": float("nan")}, "not a finite duration"),
        ({"law": "exponential", "mean": [1]}, "is not a duration"),
        ({"law": "exponential", "mean": "2 fortnights"}, "not a unit of time"),
        ({"law": "exponential", "mean": 5, "median": 4}, "Extra inputs"),
        ({"law": "lognormal", "sigma": 1}, "exactly one of 'median' and 'mean'"),
        ({"law": "lognormal", "sigma": 1, "mean": 1, "median": 1}, "exactly one of 'median' and 'mean'"),
        ({"law": "lognormal", "sigma": -1, "mean": 1}, "greater than 0"),
        ({"law": "weibull", "shape": 1}, "exactly one of 'scale' and 'mean'"),
        ({"law": "weibull", "shape": float("nan"), "scale": 1}, "finite number"),
        ({"law": "hyperexponential", "branches": [{"probability": 0.5, "mean": 1}]}, "must sum to one"),
        ({"law": "hyperexponential", "branches": []}, "sum to 0; they must sum to one"),
        ({"law": "empirical", "quantiles": [[0, 1]]}, "at least two rows"),
        ({"law": "empirical", "quantiles": [[0.1, 1], [1, 2]]}, "from probability 0 to 1"),
        ({"law": "empirical", "quantiles": [[0, 5], [0.5, 4], [1, 6]]}, "rise strictly"),
        ({"law": "empirical", "quantiles": [[0, 5], [0.5, 6], [0.5, 7], [1, 8]]}, "rise strictly"),
    ],
)
def test_a_law_that_makes_no_sense_is_refused_with_the_reason(given_law: object, says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ADAPTER.validate_python(given_law)
    assert says in str(refused.value)
