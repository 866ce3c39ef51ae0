"""The statistics of a comparison: against SciPy, against published examples, and by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from sundog.analysis.compare import (
    Comparison,
    Metric,
    compare,
    critical_difference,
    direction,
    holm,
    paired_t,
    pareto_front,
    seeds_needed,
    signed_rank,
    t_interval,
)
from sundog.analysis.compare_plots import numeric
from sundog.analysis.compare_report import (
    Progress,
    as_json,
    as_markdown,
    choose_pareto,
    verdict,
    write,
)
from sundog.errors import InputError
from sundog.runtime.seeds import Streams

values = st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), min_size=2, max_size=30)


def cells(
    by_policy: Mapping[str, Sequence[float | None]], metric: str = "requests.rejected_share", **more: Any
) -> pd.DataFrame:
    rows = [
        {"policy": policy, "seed": 100 + i, metric: value, **more}
        for policy, column in by_policy.items()
        for i, value in enumerate(column)
    ]
    return pd.DataFrame(rows)


def compared(by_policy: Mapping[str, Sequence[float | None]], metric: str = "requests.rejected_share") -> Metric:
    levels = {"policy": list(by_policy)}
    return compare(cells(by_policy, metric), levels, units={metric: "share"}, metrics=[metric]).metrics[0]


# ---------------------------------------------------------------- one variant


def test_an_interval_by_hand() -> None:
    # Mean 3, sd sqrt(2.5), t of 4 degrees at 97.5 % is 2.7764 (any table).
    mean, sd, low, high = t_interval(np.array([1.0, 2, 3, 4, 5]))
    assert (mean, sd) == (3.0, pytest.approx(math.sqrt(2.5)))
    assert (high - low) / 2 == pytest.approx(2.7764 * math.sqrt(2.5 / 5), abs=1e-4)


@given(values)
def test_an_interval_is_that_of_scipy(given_values: list[float]) -> None:
    array = np.array(given_values)
    mean, sd, low, high = t_interval(array)
    assert low <= mean <= high
    if np.ptp(array) > 1e-3:
        wanted = stats.t.interval(0.95, len(array) - 1, loc=np.mean(array), scale=stats.sem(array))
        assert (low, high) == pytest.approx(wanted)
        assert sd == pytest.approx(np.std(array, ddof=1))


def test_one_value_has_no_interval_and_none_has_no_mean() -> None:
    assert [math.isnan(each) for each in t_interval(np.array([2.0]))] == [False, True, True, True]
    assert all(math.isnan(each) for each in t_interval(np.array([])))


@pytest.mark.slow
def test_intervals_hold_the_true_mean_as_often_as_they_say() -> None:
    rng = Streams(1).stream("coverage")
    held = [low <= 5 <= high for _, _, low, high in (t_interval(rng.normal(5, 2, 6)) for _ in range(4000))]
    assert np.mean(held) == pytest.approx(0.95, abs=0.011)  # three standard errors


# ---------------------------------------------------------------- differences


@given(values)
def test_the_paired_test_is_that_of_scipy(given_values: list[float]) -> None:
    array = np.array(given_values)
    if np.ptp(array) > 1e-2:
        assert paired_t(array) == pytest.approx(stats.ttest_1samp(array, 0.0).pvalue, abs=1e-12)


def test_the_paired_test_on_the_sleep_data_of_student() -> None:
    # Student (1908), "The probable error of a mean": t = 4.0621, p = 0.002833 (as in every textbook).
    d = np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    assert paired_t(d) == pytest.approx(0.002833, abs=1e-6)


def test_signed_ranks_by_hand() -> None:
    # All five of one sign: 2 of 32 sign patterns are as extreme. Four up and the smallest down: 4 of 32.
    assert signed_rank(np.array([1.0, 2, 3, 4, 5])) == pytest.approx(2 / 32)
    assert signed_rank(np.array([-1.0, 2, 3, 4, 5])) == pytest.approx(4 / 32)
    assert signed_rank(np.zeros(5)) == 1.0
    assert math.isnan(signed_rank(np.array([1.0])))
    assert 0 < signed_rank(np.array([1.0, 1, 0, 2, -1])) <= 1


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, math.nan, 0.6]) == [1.0, pytest.approx(math.nan, nan_ok=True), 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_keeps_the_order_and_lies_between_nothing_and_bonferroni(p: list[float]) -> None:
    corrected = holm(p)
    for i, each in enumerate(corrected):
        assert p[i] <= each <= min(1.0, p[i] * len(p)) + 1e-12
    order = np.argsort(p, kind="stable")
    assert (np.diff([corrected[i] for i in order]) >= 0).all()


@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10), (2.0, 5)])
def test_seeds_needed_are_those_of_the_tables(effect: float, n: int) -> None:
    # G*Power 3.1, paired t test, two-sided, alpha 0.05, power 0.8.
    assert seeds_needed(effect, 1.0) == n
    assert seeds_needed(-effect * 7, 7.0) == n


def test_seeds_needed_are_told_only_where_there_is_something_to_go_by() -> None:
    assert seeds_needed(0.0, 1.0) is None
    assert seeds_needed(1.0, 0.0) is None
    assert seeds_needed(math.nan, 1.0) is None
    assert seeds_needed(1e-9, 1.0) is None
    many = seeds_needed(0.05, 1.0)
    assert many == pytest.approx(((1.959964 + 0.841621) / 0.05) ** 2, rel=0.01)


@settings(deadline=None)
@example(2.0, 0.001)  # where the other tail of SciPy's noncentral t is NaN
@given(st.floats(0.1, 3), st.floats(0.001, 0.2))
def test_a_harder_question_needs_no_fewer_seeds(effect: float, alpha: float) -> None:
    here = seeds_needed(effect, 1.0, alpha)
    assert here is not None
    assert (seeds_needed(effect * 1.5, 1.0, alpha) or 0) <= here <= (seeds_needed(effect, 1.0, alpha / 2) or 0)


def test_pairs_are_made_by_seed_and_not_by_row() -> None:
    a, b = [0.1, 0.5, 0.9], [0.2, 0.6, 1.0]
    frame = cells({"best-fit": a, "random": b})
    shuffled = pd.concat([frame[frame.policy == "random"].iloc[::-1], frame[frame.policy == "best-fit"]])
    levels, units = {"policy": ["best-fit", "random"]}, {"requests.rejected_share": "share"}
    for each in (frame, shuffled):
        (difference,) = compare(each, levels, units=units).metrics[0].differences
        assert (difference.mean, difference.sd) == (pytest.approx(0.1), pytest.approx(0.0, abs=1e-12))
        assert difference.verdict == "worse"


def test_what_all_seeds_have_in_common_falls_out_of_a_difference() -> None:
    rng = Streams(2).stream("x")
    common = rng.normal(0.5, 0.2, 8)
    metric = compared({"a": list(common), "b": list(common - 0.01 + rng.normal(0, 0.002, 8))})
    (difference,) = metric.differences
    assert metric.estimates[0].low < metric.estimates[1].mean < metric.estimates[0].high
    assert difference.verdict == "better"


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ([1.0, 2, 3], [1.0, 2, 3], "the same in every seed"),
        ([1.0], [2.0], "cannot tell; at least 2 seeds needed"),
        ([1.0, 2, 3, 4], [1.5, 1.6, 3.4, 3.7], "cannot tell; about 683 seeds needed"),
        ([1.0, 2, 3, 4], [2.0, 3, 4.1, 5], "worse"),
        ([2.0, 3, 4.1, 5], [1.0, 2, 3, 4], "better"),
        ([1.0, 2.0, 3.0], [2.0, 1.0, 3.0], "cannot tell; more than 10,000 seeds"),
        ([1.0, None, 3.0], [None, 2.0, 3.0], "the same in every seed"),
        ([1.0, None], [None, 2.0], "cannot tell; at least 2 seeds needed"),
    ],
)
def test_a_verdict_says_what_the_seeds_allow(a: list[float | None], b: list[float | None], said: str) -> None:
    (difference,) = compared({"a": a, "b": b}).differences
    assert verdict(difference).startswith(said)


def test_a_figure_that_is_neither_good_nor_bad_is_higher_or_lower() -> None:
    metric = compared({"a": [1.0, 2, 3, 4], "b": [2.0, 3, 4.1, 5]}, "vms.running_mean")
    assert [each.verdict for each in metric.differences] == ["higher"]
    assert (direction("vms.running_mean"), direction("requests.rejected"), direction("hosts.empty_mean")) == (0, -1, 1)


def test_many_comparisons_make_it_harder_to_tell() -> None:
    a = [1.0, 2, 3, 4, 5]
    b = [1.3, 2.1, 3.4, 4.2, 5.0]
    alone = compared({"a": a, "b": b}).differences[0]
    rng = Streams(3).stream("many")
    others = {f"c{i}": list(rng.normal(3, 1, 5)) for i in range(9)}
    among = compared({"a": a, "b": b, **others}).differences[0]
    assert alone.p_t == among.p_t < 0.05 < among.p_holm
    assert (alone.verdict, among.verdict) == ("worse", "cannot tell")
    assert among.low > 0
    assert (among.seeds_needed or 0) > 5


def test_only_what_differs_by_the_baseline_alone_is_compared() -> None:
    rows = [
        {"policy": policy, "count": count, "seed": seed, "wait.mean": seed * 0.1 + count + (policy == "b")}
        for policy in "ab" for count in (10, 20) for seed in range(4)
    ]  # fmt: skip
    levels = {"policy": ["a", "b"], "count": [10, 20]}
    frame, units = pd.DataFrame(rows), {"wait.mean": "s"}
    by_policy = compare(frame, levels, units=units).metrics[0].differences
    assert [(dict(d.labels), dict(d.baseline)) for d in by_policy] == [
        ({"policy": "b", "count": 10}, {"policy": "a", "count": 10}),
        ({"policy": "b", "count": 20}, {"policy": "a", "count": 20}),
    ]
    assert [d.mean for d in by_policy] == pytest.approx([1.0, 1.0])
    whole = compare(frame, levels, units=units, baseline={"policy": "b", "count": 20}).metrics[0].differences
    assert [d.mean for d in whole] == pytest.approx([-11.0, -1.0, -10.0])


# ---------------------------------------------------------------- ranks


def test_ranks_are_those_of_friedman() -> None:
    table = np.array([[9.0, 9.5, 5.0, 8.5], [7, 6.5, 2, 6.6], [8, 8.2, 7, 5], [5, 5.5, 1, 3], [6, 6, 4, 3.5]])
    ranks = compared({name: list(table[:, i]) for i, name in enumerate("abcd")}).ranks
    assert ranks is not None
    assert ranks.means == pytest.approx([3.3, 3.5, 1.4, 1.8], abs=0.01)
    assert ranks.p_friedman == pytest.approx(stats.friedmanchisquare(*table.T).pvalue)
    assert ranks.seeds == 5


def test_the_best_has_the_first_rank() -> None:
    less = compared({"a": [1.0, 1], "b": [2.0, 2]}, "requests.rejected_share").ranks
    more = compared({"a": [1.0, 1], "b": [2.0, 2]}, "hosts.empty_mean").ranks
    assert less is not None
    assert more is not None
    assert (less.means, more.means) == ((1.0, 2.0), (2.0, 1.0))


@pytest.mark.parametrize(("compared_", "q"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_the_critical_difference_is_that_of_the_tables(compared_: int, q: float) -> None:
    # Demsar (2006), table 5: q at 0.05.
    assert critical_difference(compared_, 14) == pytest.approx(
        q * math.sqrt(compared_ * (compared_ + 1) / 84), abs=2e-3
    )


def test_only_whole_seeds_are_ranked() -> None:
    ranks = compared({"a": [1.0, 2, None], "b": [2.0, 3, 1], "c": [3.0, None, 2]}).ranks
    assert ranks is not None
    assert (ranks.seeds, ranks.means) == (1, (1.0, 2.0, 3.0))


# ---------------------------------------------------------------- Pareto, choices, texts


def test_a_front_by_hand() -> None:
    x, y = [1.0, 2, 3, 2, 1], [5.0, 7, 8, 6, 5]
    assert pareto_front(x, y, (-1, 1)) == [0, 1, 2, 4]
    assert pareto_front(x, y, (1, 1)) == [2]
    assert pareto_front([1.0, math.nan], [1.0, 9.0], (1, 1)) == [0]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=20))
def test_a_front_is_never_empty_and_each_other_point_is_beaten_by_it(points: list[tuple[int, int]]) -> None:
    front = pareto_front([float(a) for a, _ in points], [float(b) for _, b in points], (1, 1))
    assert front
    for i, (a, b) in enumerate(points):
        assert i in front or any(points[j][0] >= a and points[j][1] >= b and points[j] != (a, b) for j in front)


def small_comparison(**options: Any) -> Comparison:
    frame = cells({"a": [0.1, 0.2, 0.3], "b": [0.2, 0.25, 0.5]})
    frame["hosts.empty_mean"] = [3.0, 4, 5, 1, 2, 3]
    frame["availability.vms"] = 1.0
    units = {"requests.rejected_share": "share", "hosts.empty_mean": "host", "availability.vms": "share"}
    return compare(frame, {"policy": ["a", "b"]}, units=units, **options)


def test_the_usual_metrics_are_those_that_vary() -> None:
    comparison = small_comparison()
    assert [each.name for each in comparison.metrics] == ["requests.rejected_share", "hosts.empty_mean"]
    assert comparison.left_out == ("availability.vms",)
    assert comparison.baseline == {"policy": "a"}
    more = small_comparison(extra=["availability.vms"])
    assert [each.name for each in more.metrics][-1] == "availability.vms"
    assert [each.name for each in small_comparison(metrics=["*_*"]).metrics] == [
        "requests.rejected_share",
        "hosts.empty_mean",
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"metrics": ["hosts.emty_mean"]}, "did you mean hosts.empty_mean"),
        ({"metrics": ["nothing.*"]}, "--metric nothing.*: no figure"),
        ({"baseline": {"polcy": "a"}}, "polcy does not vary; policy does"),
        ({"baseline": {"policy": "z"}}, "there is no such value; the values are a, b"),
    ],
)
def test_what_is_not_there_cannot_be_compared(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        small_comparison(**options)
    assert said in caught.value.message


def test_a_comparison_is_written_as_json_and_markdown_and_figures(tmp_path: Any) -> None:
    comparison = small_comparison()
    pareto = choose_pareto(comparison, None)
    assert pareto == ("requests.rejected_share", "hosts.empty_mean")
    told = write(tmp_path, comparison, Progress(8, 6, 1), pareto)
    assert told == as_json(comparison, Progress(8, 6, 1), pareto)
    assert told["pareto"] == {"metrics": list(pareto), "front": [{"policy": "a"}]}
    assert told["metrics"]["hosts.empty_mean"]["differences"][0]["verdict"] == "worse"
    assert told["metrics"]["hosts.empty_mean"]["better"] == "more"
    text = (tmp_path / "compare.md").read_text()
    assert "6 of 8 cells are done, 1 failed, 1 are missing: this is a partial result." in text
    assert "| b | a | 3 | −2 hosts | −2 hosts to −2 hosts | < 0.001 | 0.250 | worse |" in text
    assert sorted(each.name for each in (tmp_path / "figures").iterdir()) == ["pareto.png", "ranks.png"]
    before = {each.name: each.read_bytes() for each in (tmp_path / "figures").iterdir()}
    write(tmp_path, comparison, Progress(8, 6, 1), pareto)
    assert before == {each.name: each.read_bytes() for each in (tmp_path / "figures").iterdir()}


def test_a_pipe_in_a_name_does_not_break_a_table() -> None:
    frame = cells({"a|b": [0.1, 0.2], "c": [0.3, 0.1]})
    comparison = compare(frame, {"policy": ["a|b", "c"]}, units={"requests.rejected_share": "share"})
    assert r"| a\|b | 2 |" in as_markdown(comparison, Progress(4, 4, 0), [])


def test_quantities_are_axes_and_names_are_not() -> None:
    assert numeric([1, 2.5]) == ([1.0, 2.5], "")
    assert numeric(["30 min", "2 h"]) == ([0.5, 2.0], "h")
    assert numeric(["512 MiB", "2 GiB"]) == ([0.5, 2.0], "GiB")
    assert numeric(["a", "2 h"]) is None
    assert numeric([True, False]) is None
