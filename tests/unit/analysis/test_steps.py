from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sundog.analysis.statistics import significant, spread
from sundog.analysis.steps import Share, Steps, stepper


def make_steps(*pairs: tuple[float, float]) -> Steps:
    times, values = zip(*pairs, strict=True)
    return Steps(np.array(times), np.array(values, dtype=float))


def test_a_step_holds_from_its_own_instant_on():
    steps = make_steps((1.0, 5.0), (3.0, 2.0))
    assert steps.at(np.array([0.0, 1.0, 2.9, 3.0, 99.0])).tolist() == [0.0, 5.0, 5.0, 2.0, 2.0]


def test_mean_peak_and_low_cover_only_the_span():
    steps = make_steps((0.0, 100.0), (10.0, 4.0), (20.0, 8.0), (40.0, 0.0))
    assert steps.pieces(10.0, 40.0).mean() == (10 * 4 + 20 * 8) / 30
    assert steps.pieces(10.0, 39.0).highest() == 8.0
    assert steps.pieces(10.0, 39.0).lowest() == 4.0
    assert steps.pieces(10.0, 40.0).lowest() == 0.0  # the span is closed: what happens at its end counts
    assert steps.last(10.0, 40.0) == 0.0


def test_an_empty_span_has_no_figures():
    steps = make_steps((0.0, 1.0))
    for span in [(5.0, 5.0), (6.0, 5.0)]:
        assert math.isnan(steps.pieces(*span).mean())
        assert math.isnan(steps.pieces(*span).highest())
        assert math.isnan(steps.pieces(*span).lowest())
        assert math.isnan(steps.last(*span))


def test_a_share_is_the_mean_of_the_ratio_and_skips_what_has_no_whole():
    share = Share(make_steps((0.0, 2.0), (5.0, 4.0)), make_steps((0.0, 4.0), (10.0, 0.0), (20.0, 16.0)))
    # 5 s at 2/4, 5 s at 4/4, 10 s at nothing, 10 s at 4/16
    assert share.pieces(0.0, 30.0).mean() == (5 * 0.5 + 5 * 1.0 + 10 * 0.25) / 20
    assert share.pieces(0.0, 30.0).highest() == 1.0
    assert share.last(0.0, 30.0) == 0.25
    assert math.isnan(Share(make_steps((0.0, 1.0)), make_steps((0.0, 0.0))).pieces(0.0, 1.0).mean())


@given(*[st.lists(st.integers(0, 9), unique=True, min_size=1).map(sorted)] * 2, st.integers(0, 9))
def test_the_pieces_of_a_share_begin_where_either_of_the_two_steps_does(part, whole, start):
    share = Share(*(make_steps(*((float(t), float(t + 1)) for t in times)) for times in (part, whole)))
    pieces = share.pieces(float(start), 10.0)
    edges = sorted({float(t) for t in (*part, *whole, start, 10) if t >= start})
    known = [(b - a, share.at(np.array([a]))[0]) for a, b in zip(edges, [*edges[1:], 10.0], strict=True)]
    lasting = [(seconds, value) for seconds, value in known if seconds and not math.isnan(value)]
    assert [pair for pair in zip(pieces.seconds, pieces.values, strict=True) if pair[0]] == lasting


def test_changes_at_one_instant_are_one_step_and_infinity_never_comes():
    steps = stepper(np.array([3.0, 1.0, 3.0, np.inf]))(np.array([2.0, 5.0, -5.0, 99.0]))
    assert steps.times.tolist() == [1.0, 3.0]
    assert steps.values.tolist() == [5.0, 2.0]


def test_the_rounding_of_a_long_sum_is_not_a_value():
    times = np.arange(20, dtype=float)
    steps = stepper(times)(np.array([0.1, -0.1] * 10))
    assert set(steps.values[1::2].tolist()) == {0.0}


def test_quantiles_are_those_of_the_known_values():
    found = spread(np.array([1.0, 2.0, 3.0, 4.0, 5.0, np.nan]))
    assert (found.count, found.mean, found.p50, found.maximum) == (5, 3.0, 3.0, 5.0)
    assert found.p90 == 4.6
    assert math.isnan(spread(np.array([np.nan])).p99)


def test_figures_keep_twelve_significant_digits():
    assert significant(1 / 3) == 0.333333333333
    assert significant(123456789012345.6) == 123456789012000.0
