"""Blocking probabilities against Erlang-B and Kaufman-Roberts, and that the test would notice if they were wrong."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from tests.proofs.loss import FULL, LAWS, SHORT, Cell, against, cells, erlang_b, kaufman_roberts, measure, passes

SMALL = [cell for cell in cells() if cell.name in ("B(10, 9)", "B(10 x 4, 38)", "KR(48; 1, 4, 16)")]
PROBE = Cell("B(10, 9)", 10, (1,), (9.0,), "exponential")


def test_the_formulas_agree_with_the_sum_over_all_states() -> None:
    for servers, load in ((1, 0.3), (5, 4.0), (20, 25.0)):
        weights = [load**n / math.factorial(n) for n in range(servers + 1)]
        assert erlang_b(servers, load) == pytest.approx(weights[-1] / sum(weights))
        assert kaufman_roberts(servers, [1], [load]) == pytest.approx([erlang_b(servers, load)])
    capacity, sizes, loads = 12, (1, 3, 5), (2.0, 1.5, 0.7)
    total, blocked = 0.0, np.zeros(3)
    for state in itertools.product(*(range(capacity // size + 1) for size in sizes)):
        used = sum(n * size for n, size in zip(state, sizes, strict=True))
        if used <= capacity:
            weight = math.prod(load**n / math.factorial(n) for n, load in zip(state, loads, strict=True))
            total += weight
            blocked += [weight * (used + size > capacity) for size in sizes]
    assert kaufman_roberts(capacity, sizes, loads) == pytest.approx(blocked / total)


@pytest.mark.slow
def test_blocking_is_as_in_theory_for_every_law_of_lifetimes() -> None:
    measured = [each for cell in SMALL for each in measure(cell, **SHORT)]
    assert {each.cell.law for each in measured} == set(LAWS)
    assert passes(measured), [(each.cell.name, each.cell.law, each.size, each.p_value()) for each in measured]


@pytest.mark.slow
def test_a_wrong_formula_is_noticed() -> None:
    measured = measure(PROBE, **SHORT)
    assert passes(measured)
    assert not passes(against(measured, [erlang_b(11, 9.0)])), "one slot more"
    assert not passes(against(measured, [erlang_b(9, 9.0)])), "one slot less"
    assert not passes(against(measured, [erlang_b(10, 9.0 * 1.02)])), "2 % more load"
    assert not passes(against(measured, [1 - 10 / 9 * (1 - erlang_b(10, 9.0))])), "the share of time, not of requests"
    mix = next(cell for cell in SMALL if cell.name.startswith("KR") and cell.law == "exponential")
    several = measure(mix, **SHORT)
    assert passes(several)
    flat = erlang_b(48, sum(a * b for a, b in zip(mix.loads, mix.sizes, strict=True)))
    assert not passes(against(several, [flat] * 3)), "one class of the same load"
    assert not passes(against(several, kaufman_roberts(47, mix.sizes, mix.loads))), "one vCPU less"


@pytest.mark.slow
def test_an_engine_that_is_two_percent_wrong_is_noticed() -> None:
    assert not passes(measure(PROBE, **SHORT, stretched=1.02)), "VMs stay 2 % longer than they should"
    assert not passes(measure(PROBE, **SHORT, stretched=0.98)), "VMs leave 2 % earlier than they should"


@pytest.mark.proof
@pytest.mark.timeout(1500)
def test_blocking_is_as_in_theory_everywhere() -> None:
    measured = [each for cell in cells() for each in measure(cell, **FULL)]
    assert len(measured) == 44
    assert passes(measured), [(each.cell.name, each.cell.law, each.size, each.p_value()) for each in measured]
    probe = measure(PROBE, **FULL)
    assert not passes(against(probe, [erlang_b(10, 9.0 * 1.01)])), "with so many requests, 1 % more load is noticed"
    assert not passes(measure(PROBE, **FULL, stretched=1.01)), "and so is an engine that is 1 % wrong"
