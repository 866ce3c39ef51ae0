"""A policy's score of all hosts at once, of one host in plain Python, and of one host compiled: the same bits."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numba
import numpy as np
import pytest
from hypothesis import given, settings

from sundog.core.pool import Inventory, Pool, ResourceClass, ResourceClasses
from sundog.core.scheduler import BUILT_IN, HostView, Request, Scheduler, load_policy, make_shape

CLASSES = ("VCPU", "MEMORY_MB", "DISK_GB", "CUSTOM_NIC")
WEIGHTS = {"VCPU": 0.3, "MEMORY_MB": 1.7, "DISK_GB": 0.0}
PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "best-fit": [{}, {"weights": WEIGHTS}],
    "worst-fit": [{}, {"weights": WEIGHTS}],
    "weighted-dot-product": [{}, {"weights": WEIGHTS}, {"weights": WEIGHTS, "exponent": 0.9}],
    "l2-norm": [{}, {"weights": WEIGHTS}],
}
CASES = [
    (name, parameters)
    for name, made in BUILT_IN.items()
    if hasattr(made, "host_score")
    for parameters in PARAMETERS.get(name, [{}])
]
COMPILED: dict[str, Any] = {}


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    scales = [draw(st.sampled_from([1, 3, 10, 1000])) for _ in CLASSES]
    pool = Pool(ResourceClasses([ResourceClass(name, scale) for name, scale in zip(CLASSES, scales, strict=True)]))
    sizes = st.sampled_from([0, 1, 7, 33, 96, 4096])
    for host in range(draw(st.integers(1, 6))):
        ratio = draw(st.sampled_from([0.5, 1.0, 1.7, 16.0]))
        inventory = {name: Inventory(draw(sizes), 0, ratio) for name in CLASSES}
        row = pool.add_provider(f"h{host}", inventory, traits=[draw(st.sampled_from(["CUSTOM_A", "CUSTOM_B"]))])
        free = [int(pool.free[pool.classes.column(name), row]) for name in CLASSES]
        taken = [(pool.classes.column(n), draw(st.integers(0, f))) for n, f in zip(CLASSES, free, strict=True)]
        pool.claim(host, [(row, tuple((c, units) for c, units in taken if units))])
        if draw(st.booleans()):
            pool.set_inventory(row, inventory | {"VCPU": 1})  # perhaps over capacity now
    return pool


amounts = st.dictionaries(st.sampled_from(CLASSES), st.sampled_from([0, 1, 2, 5, 16, 700]), max_size=4)


@pytest.mark.parametrize(("name", "parameters"), CASES, ids=lambda value: str(value))
@given(pool=pools(), asked=amounts, other=amounts, by_machine=st.booleans())
@settings(max_examples=60, deadline=None)
def test_all_forms_of_a_score_give_the_same_bits(
    name: str, parameters: dict[str, Any], pool: Pool, asked: dict[str, int], other: dict[str, int], by_machine: bool
) -> None:
    policy = load_policy(name, parameters)
    variants = {"CUSTOM_A": asked, "CUSTOM_B": other} if by_machine else None
    request = Request(make_shape({} if by_machine else asked, variants=variants))
    scheduler = Scheduler(pool, policy)
    view = HostView(scheduler.hosts, *scheduler.feasible(request))
    scores = policy.score(request, view)
    assert scores.dtype == np.float64
    assert not np.isnan(scores).any()
    compiled = COMPILED.setdefault(name, numba.njit(type(policy).host_score))
    names = view.classes_asked()
    weights = np.asarray(policy.parameters(names) if hasattr(policy, "parameters") else (), dtype=np.float64)
    scale = np.asarray([each[3] for each in view.in_units()], dtype=np.float64)
    for host in range(view.n):
        columns = [
            np.asarray([np.broadcast_to(each[i], (view.n,))[host] for each in view.in_units()], dtype=np.int64)
            for i in range(3)
        ]
        expected = np.float64(scores[host]).view(np.int64)
        assert np.float64(policy.host_score(*columns, scale, weights)).view(np.int64) == expected
        assert np.float64(compiled(*columns, scale, weights)).view(np.int64) == expected


def test_every_policy_that_scores_by_one_host_is_compared() -> None:
    assert {name for name, _ in CASES} == {
        *("best-fit", "worst-fit", "dot-product", "weighted-dot-product", "cosine", "l2-norm", "perp-distance")
    }
