"""What a scenario may say of a synthetic workload, and what it is told when it may not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sundog.sim.workload.arrivals import Hourly, Pattern
from sundog.sim.workload.spec import SyntheticSpec, load_preset, presets


def document(**changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "arrivals_per_day": 1000,
        "lifetimes": {"law": "exponential", "mean": "2 h"},
        "flavors": [
            {"name": "small", "vcpus": 1, "memory": "2 GiB", "weight": 3},
            {"name": "large", "vcpus": 8, "memory": "32 GiB", "disk": "100 GiB", "gpus": 0.5, "weight": 1},
        ],
    }
    body.update(changes)
    return {key: value for key, value in body.items() if value is not ...}


def flavor(**changes: Any) -> dict[str, Any]:
    return {"name": "f", "vcpus": 1, "memory": "1 GiB", **changes}


def test_sizes_are_read_with_their_units() -> None:
    spec = SyntheticSpec.model_validate(document())
    assert (spec.flavors[0].memory, spec.flavors[1].disk, spec.flavors[1].gpus) == (2048, 100, 0.5)


def test_a_specification_written_out_reads_back_the_same() -> None:
    for spec in (
        SyntheticSpec.model_validate(document(pattern={"diurnal": 0.2}, modulation={"sigma": 0.1})),
        SyntheticSpec.model_validate({"preset": "azure-like", "pattern": {"diurnal": 0.2}, "start": "stationary"}),
        SyntheticSpec.model_validate({"preset": "huawei-like", "lifetimes": {"law": "infinite"}}),
    ):
        assert SyntheticSpec.model_validate(spec.model_dump()) == spec
        assert SyntheticSpec.model_validate(spec.model_dump(mode="json", exclude_none=True)) == spec
        assert hash(SyntheticSpec.model_validate(spec.model_dump())) == hash(spec)


@pytest.mark.parametrize(
    ("where", "changes", "says"),
    [
        ("arrivals_per_day", {"arrivals_per_day": 0}, "greater than 0"),
        ("arrivals_per_day", {"arrivals_per_day": -5}, "greater than 0"),
        ("arrivals_per_day", {"arrivals_per_day": float("nan")}, "greater than 0|finite"),
        ("arrivals_per_day", {"arrivals_per_day": float("inf")}, "finite"),
        ("arrivals_per_day", {"arrivals_per_day": ...}, "required"),
        ("growth_per_day", {"growth_per_day": -1}, "greater than -1"),
        ("flavors", {"flavors": []}, "give at least one"),
        ("flavors", {"flavors": [flavor(weight=0)]}, "at least one must be above zero"),
        ("flavors", {"flavors": [flavor(), flavor()]}, "given twice"),
        ("flavors", {"flavors": [flavor(vcpus=0)]}, "greater than 0"),
        ("flavors", {"flavors": [flavor(vcpus=float("nan"))]}, "greater than 0|finite"),
        ("flavors", {"flavors": [flavor(memory="4 Gib")]}, "not a unit of size"),
        ("flavors", {"flavors": [flavor(memory={"GiB": 4})]}, "is not a size"),
        ("flavors", {"flavors": [flavor(memory=0)]}, "greater than 0"),
        ("flavors", {"flavors": [flavor(weight=-1)]}, "greater than or equal to 0"),
        ("flavors", {"flavors": [flavor(weigh=1)]}, "Extra inputs"),
        ("hourly", {"hourly": [1.0] * 23}, "23 hourly factors; give 24"),
        ("hourly", {"hourly": [0.0] * 24}, "all hourly factors are zero"),
        ("hourly", {"hourly": [-1.0] * 24}, "greater than or equal to 0"),
        ("pattern", {"pattern": {"diurnal": 1.5}}, "less than or equal to 1"),
        ("group_policy", {"group_policy": "antiaffinity"}, "'anti-affinity'"),
        ("group_share", {"group_share": 1.1}, "less than or equal to 1"),
        ("lifetimes", {"lifetimes": {"law": "weibul", "shape": 1, "scale": 1}}, "did you mean weibull"),
        ("batches", {"batches": {"law": "poisson"}}, "unknown law 'poisson'"),
        ("start", {"start": "full"}, "'stationary'"),
        ("preset", {"preset": "azur-like"}, "did you mean azure-like"),
        ("preset", {"preset": 3}, "valid string"),
        ("preset", {"preset": ["azure-like"]}, "valid string"),
        ("", {"pattern": {}, "hourly": [1.0] * 24}, "not both"),
        ("", {"lifetimes": ...}, "no lifetimes for flavor 'small'"),
        ("", {"lifetimes": {"law": "infinite"}, "start": "stationary"}, "flavor 'small' never leaves"),
    ],
)
def test_a_wrong_value_is_refused_where_it_stands(where: str, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as refused:
        SyntheticSpec.model_validate(document(**changes))
    assert {str(error["loc"][0]) if error["loc"] else "" for error in refused.value.errors()} == {where}


def test_a_wrong_flavor_is_reported_once_with_its_place() -> None:
    with pytest.raises(ValidationError) as refused:
        SyntheticSpec.model_validate(document(flavors=[flavor(memory="4 Gib")]))
    assert [error["loc"] for error in refused.value.errors()] == [("flavors", 0, "memory")]


def test_an_unknown_preset_is_the_only_thing_reported() -> None:
    with pytest.raises(ValidationError) as refused:
        SyntheticSpec.model_validate({"preset": "google-like"})
    assert [error["loc"] for error in refused.value.errors()] == [("preset",)]
    assert "the presets are azure-like, huawei-like" in str(refused.value)


def test_keys_beside_a_preset_replace_its_own() -> None:
    preset = load_preset("azure-like").spec
    spec = SyntheticSpec.model_validate({"preset": "azure-like", "arrivals_per_day": 60_000, "modulation": None})
    assert (spec.arrivals_per_day, spec.modulation) == (60_000, None)
    assert (spec.flavors, spec.hourly, spec.batches) == (preset.flavors, preset.hourly, preset.batches)


def test_a_pattern_beside_a_preset_replaces_its_hourly_profile() -> None:
    spec = SyntheticSpec.model_validate({"preset": "azure-like", "pattern": {"diurnal": 0.5}})
    assert spec.hourly is None
    assert spec.profile == Pattern(diurnal=0.5)


def test_laws_beside_a_preset_also_replace_those_of_its_flavors() -> None:
    one = {"law": "exponential", "mean": "1 h"}
    spec = SyntheticSpec.model_validate({"preset": "azure-like", "lifetimes": one, "batches": {"law": "constant"}})
    assert {spec.lifetimes_of(f).mean_s() for f in spec.flavors} == {3600.0}
    assert {spec.batches_of(f).mean_size() for f in spec.flavors} == {1.0}


def test_overriding_a_preset_does_not_change_the_preset() -> None:
    before = load_preset("azure-like")
    SyntheticSpec.model_validate({"preset": "azure-like", "batches": {"law": "constant"}, "hourly": [1.0] * 24})
    assert load_preset("azure-like") == before


def test_every_preset_loads_with_its_source_and_goodness_of_fit() -> None:
    assert presets() == ("azure-like", "huawei-like")
    for name in presets():
        preset = load_preset(name)
        assert preset.name == name
        assert {"dataset", "licence", "citation", "url"} <= preset.source.keys()
        assert {"date", "vms", "script"} <= preset.fit.keys()
        assert all({"figure", "trace", "generated", "sd"} == row.keys() for row in preset.goodness)
        assert isinstance(preset.spec.profile, Hourly)


def test_an_unknown_preset_names_those_that_exist() -> None:
    with pytest.raises(ValueError, match="did you mean huawei-like"):
        load_preset("huawei")
