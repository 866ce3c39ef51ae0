"""Laws of batch size against theory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sundog.runtime.seeds import Streams
from sundog.sim.workload.batches import Batch, BatchLaw
from sundog.sim.workload.laws import open_uniforms

ADAPTER: TypeAdapter[Batch] = TypeAdapter(BatchLaw)
LAWS = {
    "constant": {"law": "constant", "size": 3},
    "geometric": {"law": "geometric", "mean": 4.1},
    "geometric of one": {"law": "geometric", "mean": 1},
    "empirical": {"law": "empirical", "quantiles": [[0.6, 1], [0.8, 3], [0.95, 20], [1, 200]]},
    "empirical of one": {"law": "empirical", "quantiles": [[1, 1]]},
}
N = 200_000


def make_law(name: str) -> Batch:
    return ADAPTER.validate_python(LAWS[name])


@pytest.mark.parametrize("name", LAWS)
def test_sizes_have_the_mean_of_their_law(name: str) -> None:
    law = make_law(name)
    sizes = law.at(open_uniforms(Streams(2).stream(name), N))
    assert sizes.min() >= 1
    assert sizes.mean() == pytest.approx(law.mean_size(), abs=5 * sizes.std() / np.sqrt(N) + 1e-9)


@pytest.mark.parametrize("name", LAWS)
def test_size_biased_sizes_count_a_batch_as_often_as_it_has_vms(name: str) -> None:
    law = make_law(name)
    streams = Streams(3)
    plain = law.at(open_uniforms(streams.stream("plain"), N)).astype(float)
    biased = law.size_biased(open_uniforms(streams.stream("biased"), (N, 2))).astype(float)
    for k in (1, 2, 3, 5, 10, 50):
        expected = (plain * (plain <= k)).sum() / plain.sum()
        assert (biased <= k).mean() == pytest.approx(expected, abs=0.012), k
    assert (1 / biased).mean() == pytest.approx(1 / law.mean_size(), rel=0.02)


def test_geometric_sizes_follow_the_geometric_law() -> None:
    sizes = make_law("geometric").at(open_uniforms(Streams(4).stream("g"), N))
    q = 1 - 1 / 4.1
    for k in range(1, 12):
        assert (sizes > k).mean() == pytest.approx(q**k, abs=0.005)


def test_an_empirical_table_is_met_at_its_rows() -> None:
    sizes = make_law("empirical").at(open_uniforms(Streams(5).stream("e"), N))
    for probability, size in ((0.6, 1), (0.8, 3), (0.95, 20), (1, 200)):
        assert (sizes <= size).mean() == pytest.approx(probability, abs=0.005)


@given(mean=st.floats(1, 500), u=st.floats(2**-54, 1 - 2**-53))
def test_geometric_sizes_are_at_least_one_for_every_uniform(mean: float, u: float) -> None:
    law = ADAPTER.validate_python({"law": "geometric", "mean": mean})
    assert law.at(np.array([u]))[0] >= 1


@pytest.mark.parametrize(
    ("given_law", "says"),
    [
        ({"law": "geometrik", "mean": 2}, "did you mean geometric"),
        ({"law": "geometric", "mean": 0.5}, "greater than or equal to 1"),
        ({"law": "geometric", "mean": float("nan")}, "finite number"),
        ({"law": "constant", "size": 0}, "greater than or equal to 1"),
        ({"law": "constant", "size": 2, "shared_lifetime": 1.5}, "less than or equal to 1"),
        ({"law": "empirical", "quantiles": []}, "at least one row"),
        ({"law": "empirical", "quantiles": [[0, 1], [1, 2]]}, "above 0"),
        ({"law": "empirical", "quantiles": [[0.5, 1], [0.9, 2]]}, "the last 1"),
        ({"law": "empirical", "quantiles": [[0.5, 3], [1, 2]]}, "rise strictly"),
        ({"law": "empirical", "quantiles": [[0.5, 1.5], [1, 2]]}, "integer"),
    ],
)
def test_a_batch_law_that_makes_no_sense_is_refused_with_the_reason(given_law: object, says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ADAPTER.validate_python(given_law)
    assert says in str(refused.value)
