"""The generated trace: its form, its repeatability, and what it keeps of its specification."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from sundog.errors import InputError
from sundog.runtime.seeds import Streams
from sundog.sim.workload.generate import generate
from sundog.sim.workload.initial import mean_population
from sundog.sim.workload.spec import SyntheticSpec
from sundog.units import DAY

HYPER = {
    "law": "hyperexponential",
    "branches": [{"probability": 0.9, "mean": "5 min"}, {"probability": 0.1, "mean": "5 h"}],
}


def make_spec(**changes: Any) -> SyntheticSpec:
    body: dict[str, Any] = {
        "arrivals_per_day": 20_000,
        "pattern": {"diurnal": 0.3, "weekly": 0.1},
        "batches": {"law": "geometric", "mean": 4.1, "shared_lifetime": 0.5},
        "lifetimes": {"law": "lognormal", "median": "25 min", "sigma": 1.2},
        "flavors": [
            {"name": "small", "vcpus": 1, "memory": "2 GiB", "weight": 3},
            {"name": "large", "vcpus": 8, "memory": "32 GiB", "weight": 1, "lifetimes": HYPER},
        ],
    }
    body.update(changes)
    return SyntheticSpec.model_validate(body)


def trace(spec: SyntheticSpec, *, horizon_s: float = DAY, seed: int = 1) -> pd.DataFrame:
    return generate(spec, horizon_s=horizon_s, streams=Streams(seed))


def test_the_trace_has_the_normalised_form() -> None:
    frame = trace(make_spec())
    assert {column: str(dtype) for column, dtype in frame.dtypes.items()} == {
        "vm_id": "int64",
        "arrival_s": "float64",
        "lifetime_s": "float64",
        "vcpus": "float64",
        "memory_mb": "float64",
        "flavor": "category",
        "group": "Int64",
    }
    assert frame.vm_id.tolist() == list(range(len(frame)))


def test_optional_columns_come_with_the_flavors_that_speak_of_them() -> None:
    spec = make_spec(
        flavors=[
            {"name": "plain", "vcpus": 1, "memory": "1 GiB"},
            {"name": "gpu", "vcpus": 8, "memory": "64 GiB", "disk": "1 TiB", "gpus": 2, "priority": 3},
        ],
        group_policy="anti-affinity",
        group_share=0.25,
    )
    frame = trace(spec)
    rows = frame.groupby("flavor", observed=True).first()
    assert rows.disk_gb.to_dict() == {"plain": 0.0, "gpu": 1024.0}
    assert rows.gpus.to_dict() == {"plain": 0.0, "gpu": 2.0}
    assert frame.priority[frame.flavor == "plain"].isna().all()
    assert (frame.priority[frame.flavor == "gpu"] == 3).all()


def test_equal_seeds_give_equal_traces_and_another_seed_differs() -> None:
    spec = make_spec(start="stationary", modulation={"sigma": 0.2}, group_policy="affinity", group_share=0.5)
    pd.testing.assert_frame_equal(trace(spec), trace(spec))
    assert not trace(spec).arrival_s.equals(trace(spec, seed=2).arrival_s)


def test_another_law_of_lifetime_leaves_arrivals_batches_and_flavors_alone() -> None:
    one = trace(make_spec())
    other = trace(make_spec(lifetimes={"law": "deterministic", "value": "1 h"}))
    pd.testing.assert_frame_equal(one.drop(columns="lifetime_s"), other.drop(columns="lifetime_s"))
    large = one.flavor == "large"
    assert one.lifetime_s[large].equals(other.lifetime_s[large])
    assert (other.lifetime_s[~large] == 3600).all()


def test_lifetimes_keep_their_ranks_under_another_closed_law() -> None:
    one = trace(make_spec())
    other = trace(make_spec(lifetimes={"law": "weibull", "shape": 0.6, "mean": "1 h"}))
    small = one.flavor == "small"
    assert stats.spearmanr(one.lifetime_s[small], other.lifetime_s[small]).statistic == pytest.approx(1)


def test_other_sizes_of_flavor_leave_arrivals_and_lifetimes_alone() -> None:
    flavors = [flavor.model_dump() for flavor in make_spec().flavors]
    flavors[0]["vcpus"] = 2
    one, other = trace(make_spec()), trace(make_spec(flavors=flavors))
    assert one.drop(columns="vcpus").equals(other.drop(columns="vcpus"))


def test_asking_for_groups_leaves_everything_else_alone() -> None:
    one = trace(make_spec())
    other = trace(make_spec(group_policy="soft-anti-affinity", group_share=0.3))
    pd.testing.assert_frame_equal(one, other.drop(columns="group_policy"))


def test_weights_are_shares_of_vms_even_where_batches_differ() -> None:
    flavors = [
        {"name": "single", "vcpus": 1, "memory": 1, "weight": 3, "batches": {"law": "constant", "size": 1}},
        {"name": "herd", "vcpus": 1, "memory": 1, "weight": 1, "batches": {"law": "constant", "size": 20}},
        {"name": "never", "vcpus": 1, "memory": 1, "weight": 0},
    ]
    frame = trace(make_spec(arrivals_per_day=200_000, flavors=flavors))
    shares = frame.flavor.value_counts(normalize=True)
    assert len(frame) == pytest.approx(200_000, rel=0.05)
    assert shares["herd"] == pytest.approx(0.25, abs=0.02)
    assert shares["never"] == 0


def test_lifetimes_of_each_flavor_follow_its_own_law_whether_or_not_batches_share_them() -> None:
    spec = make_spec(arrivals_per_day=100_000)
    frame = trace(spec)
    for flavor in spec.flavors:
        mine = frame[(frame.flavor == flavor.name)]
        # One VM a batch: those of a batch are not independent.
        alone = mine[~mine.group.duplicated() | mine.group.isna()].lifetime_s
        assert stats.kstest(alone, spec.lifetimes_of(flavor).cdf).pvalue > 0.001


def test_the_share_of_batches_with_one_lifetime_is_the_one_given() -> None:
    frame = trace(make_spec(arrivals_per_day=100_000))
    distinct = frame[frame.group.notna()].groupby("group").lifetime_s.nunique()
    assert (distinct == 1).mean() == pytest.approx(0.5, abs=0.02)


def test_vms_of_a_batch_arrive_together_and_are_alike() -> None:
    frame = trace(make_spec())
    batches = frame[frame.group.notna()].groupby("group")
    assert (batches.size() > 1).all()
    assert (batches.arrival_s.nunique() == 1).all()
    assert (batches.flavor.nunique() == 1).all()


def test_the_share_of_batches_that_ask_for_a_group_policy_is_the_one_given() -> None:
    frame = trace(make_spec(arrivals_per_day=100_000, group_policy="anti-affinity", group_share=0.3))
    assert frame.group_policy[frame.group.isna()].isna().all()
    asks = frame[frame.group.notna()].groupby("group").group_policy.agg(lambda policy: policy.notna().mean())
    assert set(asks.unique()) == {0.0, 1.0}
    assert asks.mean() == pytest.approx(0.3, abs=0.02)
    assert set(frame.group_policy.dropna()) == {"anti-affinity"}


def test_vms_that_never_leave_have_no_lifetime() -> None:
    assert trace(make_spec(lifetimes={"law": "infinite"})).query("flavor == 'small'").lifetime_s.isna().all()


@pytest.mark.parametrize("horizon_s", [0.0, -1.0, float("nan"), float("inf")])
def test_a_horizon_without_end_is_refused(horizon_s: float) -> None:
    with pytest.raises(InputError, match="finite horizon above zero"):
        trace(make_spec(), horizon_s=horizon_s)


@pytest.mark.parametrize(
    "changes",
    [
        {"arrivals_per_day": 1e9},
        {"growth_per_day": 5.0},
        {"start": "stationary", "lifetimes": {"law": "exponential", "mean": "100000 d"}},
    ],
)
def test_more_vms_than_memory_holds_are_refused_before_any_is_made(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="VMs and at most 100,000,000 fit"):
        trace(make_spec(**changes), horizon_s=365 * DAY)


def test_a_million_vms_are_made() -> None:
    frame = trace(make_spec(arrivals_per_day=1_000_000, pattern=None))
    assert len(frame) == pytest.approx(1_000_000, rel=0.02)


PROBABILITY = st.floats(0, 1)
SECONDS = st.floats(1, 1e6)
LIFETIMES = st.one_of(
    st.builds(lambda m: {"law": "exponential", "mean": m}, SECONDS),
    st.builds(lambda m, s: {"law": "lognormal", "median": m, "sigma": s}, SECONDS, st.floats(0.01, 4)),
    st.builds(lambda k, m: {"law": "weibull", "shape": k, "scale": m}, st.floats(0.2, 10), SECONDS),
    st.builds(
        lambda p, a, b: {
            "law": "hyperexponential",
            "branches": [{"probability": p, "mean": a}, {"probability": 1 - p, "mean": b}],
        },
        PROBABILITY,
        SECONDS,
        SECONDS,
    ),
    st.builds(lambda a, b: {"law": "empirical", "quantiles": [[0, a], [0.5, a * 2], [1, a * 2 + b]]}, SECONDS, SECONDS),
    st.builds(lambda v: {"law": "deterministic", "value": v}, SECONDS),
)
BATCHES = st.one_of(
    st.builds(lambda n, s: {"law": "constant", "size": n, "shared_lifetime": s}, st.integers(1, 9), PROBABILITY),
    st.builds(lambda m, s: {"law": "geometric", "mean": m, "shared_lifetime": s}, st.floats(1, 9), PROBABILITY),
    st.just({"law": "empirical", "quantiles": [[0.5, 2], [0.9, 5], [1, 40]]}),
)
SPECS = st.fixed_dictionaries(
    {
        "arrivals_per_day": st.floats(1, 3000),
        "pattern": st.builds(lambda d, w: {"diurnal": d, "weekly": w}, PROBABILITY, PROBABILITY),
        "growth_per_day": st.floats(-0.9, 1),
        "batches": BATCHES,
        "lifetimes": LIFETIMES,
        "flavors": st.lists(
            st.builds(
                lambda v, m, w, own: {"vcpus": v, "memory": m, "weight": w} | ({"lifetimes": own} if own else {}),
                st.floats(0.1, 64),
                st.floats(1, 1e6),
                st.sampled_from([0.0, 0.1, 1.0, 7.0]),
                st.none() | LIFETIMES,
            ),
            min_size=1,
            max_size=4,
        )
        .filter(lambda flavors: any(f["weight"] for f in flavors))
        .map(lambda flavors: [{"name": f"f{i}", **f} for i, f in enumerate(flavors)]),
        "start": st.sampled_from(["empty", "stationary"]),
        "group_policy": st.sampled_from([None, "affinity", "soft-anti-affinity"]),
        "group_share": PROBABILITY,
    },
    optional={"modulation": st.builds(lambda s: {"sigma": s, "correlation": "3 h"}, st.floats(0.01, 1))},
).map(SyntheticSpec.model_validate)


@settings(max_examples=150, deadline=None)
@given(spec=SPECS, horizon_s=st.floats(1, 1.5 * DAY), seed=st.integers(0, 1000))
def test_every_valid_specification_gives_a_well_formed_trace(spec: SyntheticSpec, horizon_s: float, seed: int) -> None:
    assume(mean_population(spec) < 50_000)
    frame = trace(spec, horizon_s=horizon_s, seed=seed)
    arrival, lifetime = frame.arrival_s.to_numpy(), frame.lifetime_s.to_numpy()
    assert frame.vm_id.tolist() == list(range(len(frame)))
    assert (np.diff(arrival) >= 0).all()
    assert (arrival < horizon_s).all()
    assert (lifetime > 0).all()
    running = arrival < 0
    assert spec.start == "stationary" or not running.any()
    assert (arrival[running] + lifetime[running] >= 0).all()
    allowed = {(f.name, f.vcpus, f.memory) for f in spec.flavors if f.weight > 0}
    sizes = frame[["flavor", "vcpus", "memory_mb"]].drop_duplicates()
    assert {tuple(row) for row in sizes.itertuples(index=False)} <= allowed
