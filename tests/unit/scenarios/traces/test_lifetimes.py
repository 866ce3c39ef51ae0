from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sundog.runtime.seeds import Streams
from sundog.scenarios.traces.lifetimes import (
    BatchLikeness,
    LifeTable,
    batch_likeness,
    exponential_tail,
    product_limit,
)


def test_product_limit_gives_the_survival_of_the_textbook():
    # Remission of 21 leukaemia patients on 6-MP (Freireich et al., Blood 21, 1963), in weeks; the table of survival is
    # in Kleinbaum & Klein, Survival Analysis, chapter 2. Ties: deaths come before those lost, hence exposed in full.
    deaths, lost = np.zeros(36), np.zeros(36)
    for week in (6, 6, 6, 7, 10, 13, 16, 22, 23):
        deaths[week] += 1
    for week in (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35):
        lost[week] += 1
    survival = product_limit(deaths, lost, lost)
    weeks = np.array([5, 6, 7, 9, 10, 13, 16, 22, 23, 35])
    table = [1, 0.857, 0.807, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448, 0.448]
    np.testing.assert_allclose(survival[weeks + 1], table, atol=5e-4)


def test_the_lost_count_for_the_part_of_the_bin_they_were_watched():
    # 10 enter, 2 are lost, 4 end: of 8 (not watched), 9 (half) or 10 (in full).
    for exposed, expected in ((0.0, 4 / 8), (1.0, 4 / 9), (2.0, 4 / 10)):
        survival = product_limit(np.array([4, 4]), np.array([2, 0]), np.array([exposed, 0.0]))
        np.testing.assert_allclose(survival, [1, 1 - expected, 0])


def test_tables_are_estimated_side_by_side():
    deaths = np.array([[1, 1], [0, 2]])
    nobody = np.zeros((2, 2))
    np.testing.assert_allclose(product_limit(deaths, nobody, nobody), [[1, 0.5, 0], [1, 1, 0]])


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.floats(0, 1)), min_size=1, max_size=12))
def test_survival_starts_at_one_and_never_rises(rows):
    deaths, lost, part = np.array(rows, dtype=float).T
    survival = product_limit(deaths, lost, lost * part)
    assert survival[0] == 1
    assert (np.diff(survival) <= 0).all()
    assert (survival >= 0).all()


TABLE = LifeTable(np.array([0.0, 300.0, 600.0]), np.array([0.0, 300.0, 900.0]), np.array([1.0, 0.75, 0.5, 0.1]))


def test_quantiles_are_uniform_within_a_bin_and_open_in_the_tail():
    life = TABLE.quantile(np.array([0.0, 0.2, 0.25, 0.499, 0.5, 0.7, 0.8999, 0.95]))
    np.testing.assert_allclose(life, [0, 0, 300, 300, 600, 750, 899.925, np.nan])


def test_probabilities_below_are_the_inverse_of_quantiles():
    np.testing.assert_allclose(TABLE.probability_below(np.array([0.0, 300, 600, 750, 900])), [0, 0.25, 0.5, 0.7, 0.9])


@given(st.floats(0.5, 0.8999))
def test_a_quantile_within_a_wide_bin_leads_back_to_its_probability(probability):
    there = TABLE.quantile(np.array([probability]))
    assert TABLE.probability_below(there)[0] == pytest.approx(probability)


def test_an_empty_bin_is_never_drawn():
    table = LifeTable(np.array([0.0, 300.0, 600.0]), np.array([0.0, 300.0, 600.0]), np.array([1.0, 0.5, 0.5, 0.0]))
    assert set(table.quantile(np.linspace(0, 0.999, 50))) == {0.0, 600.0}


def test_batch_draws_are_uniform_whatever_the_likeness_and_share_their_fate_as_often_as_asked():
    batch = np.repeat(np.arange(50_000), 2)
    streams = Streams(1)
    draws = BatchLikeness(0.6, 0.5).draw(
        batch, of_batch=streams.fresh("batch"), of_vm=streams.fresh("vm"), batches=50_000
    )
    np.testing.assert_allclose(np.quantile(draws, [0.1, 0.25, 0.5, 0.75, 0.9]), [0.1, 0.25, 0.5, 0.75, 0.9], atol=0.01)
    assert (draws[::2] == draws[1::2]).mean() == pytest.approx(0.36, abs=0.01)


def test_the_first_draws_do_not_hang_on_how_many_follow():
    batch = np.array([0, 0, 1, 2, 2, 3])
    whole, part = (
        BatchLikeness(0.6, 0.5).draw(
            batch[:n], of_batch=Streams(1).fresh("batch"), of_vm=Streams(1).fresh("vm"), batches=int(batch[n - 1]) + 1
        )
        for n in (6, 4)
    )
    np.testing.assert_array_equal(whole[:4], part)


@pytest.mark.parametrize(("shared", "leaning"), [(0.0, 0.0), (0.7, 0.5), (0.0, 0.8), (1.0, 0.0)])
def test_the_likeness_of_drawn_batches_is_found_again(shared, leaning):
    batch = np.repeat(np.arange(20_000), 4)
    streams = Streams(3)
    draws = BatchLikeness(shared, leaning).draw(
        batch, of_batch=streams.fresh("batch"), of_vm=streams.fresh("vm"), batches=20_000
    )
    table = LifeTable(np.arange(200.0), np.arange(200.0), np.linspace(1, 0, 201))
    bins = np.minimum((draws * 200).astype(int), 199)
    fitted = batch_likeness(batch, bins, table.middle_scores(bins))
    pair = (shared + (1 - shared) * leaning) ** 2
    assert (fitted.shared + (1 - fitted.shared) * fitted.leaning) ** 2 == pytest.approx(pair, abs=0.02)
    # VMs that only lean alike fall into one bin a little oftener than by chance.
    assert fitted.shared == pytest.approx(shared, abs=0.12)


def test_without_a_batch_of_two_there_is_no_likeness():
    assert batch_likeness(np.arange(3), np.zeros(3, dtype=int), np.zeros(3)) == BatchLikeness(0.0, 0.0)
    alone = batch_likeness(np.array([0, 0, 1]), np.array([2, 2, 5]), np.array([0.1, 0.1, 3.0]))
    assert np.isfinite([alone.shared, alone.leaning]).all()


def test_an_exponential_tail_starts_where_it_is_told_and_has_its_mean():
    uniform = Streams(1).fresh("tail").random(100_000)
    life = exponential_tail(uniform, np.full(100_000, 500.0), 50.0)
    assert life.min() >= 500
    assert life.mean() == pytest.approx(550, rel=0.01)
