"""``--set`` and ``--seed``: what they change, what they refuse, and whom an error is blamed on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sundog.errors import InputError
from sundog.scenarios.load import load_scenario
from sundog.scenarios.run import prepare
from sundog.scenarios.schema import Scenario
from sundog.sim.spec import Wait
from sundog.sim.workload.laws import Exponential
from tests.unit.scenarios.files import SMALL, by_hand, refusal, small, write


def loaded(folder: Path, *options: str, seed: int | None = None) -> Scenario:
    return load_scenario(small(folder), options, seed=seed).scenario


def test_options_change_keys_at_any_depth(tmp_path: Path) -> None:
    scenario: Any = loaded(
        tmp_path,
        "fleet.0.count=50",
        "fleet.0.type.memory=128 GiB",
        "workload.synthetic.flavors.1.weight=7",
        "horizon=2 d",
    )
    assert scenario.fleet[0].count == 50
    assert scenario.fleet[0].type.memory == 131072
    assert [each.weight for each in scenario.workload.synthetic.flavors] == [3, 7]
    assert scenario.horizon == 2 * 86400


def test_a_value_may_be_a_mapping_or_a_list_in_flow_form(tmp_path: Path) -> None:
    scenario = loaded(
        tmp_path,
        "workload.synthetic.lifetimes={law: exponential, mean: 5 h}",
        "faults.outages=[{rack: az1-r0, at: 1 h, duration: 30 min}]",
        "on_full={wait: 1 min}",
    )
    assert scenario.workload.synthetic is not None
    assert scenario.workload.synthetic.lifetimes == Exponential(mean=5 * 3600)
    assert scenario.faults.outages[0].duration == 1800
    assert scenario.on_full == Wait(wait=60)


def test_a_key_that_is_not_there_yet_is_added_with_those_above_it(tmp_path: Path) -> None:
    scenario = loaded(tmp_path, "boot.images.count=7", "maintenance=[]", "description=a study")
    assert scenario.boot is not None
    assert scenario.boot.images.count == 7
    assert scenario.description == "a study"


def test_a_key_below_a_plain_value_replaces_it_by_a_mapping(tmp_path: Path) -> None:
    path = small(tmp_path, ("policy: {name: best-fit}", "policy: best-fit"))
    assert load_scenario(path, ["policy.name=worst-fit"]).scenario.policy.name == "worst-fit"


def test_a_value_that_is_left_empty_is_null(tmp_path: Path) -> None:
    assert loaded(tmp_path, "fleet.0.zone=").fleet[0].zone is None


def test_the_last_of_two_options_for_one_key_holds(tmp_path: Path) -> None:
    assert loaded(tmp_path, "seed=3", "seed=4").seed == 4
    assert loaded(tmp_path, "seed=3", seed=9).seed == 9


def test_the_seed_option_replaces_the_seed_of_the_file(tmp_path: Path) -> None:
    assert loaded(tmp_path).seed == 1
    assert loaded(tmp_path, seed=0).seed == 0


def test_options_are_part_of_the_document_that_is_locked(tmp_path: Path) -> None:
    document = load_scenario(small(tmp_path), ["fleet.0.count=50"], seed=8).document
    assert (document["fleet"][0]["count"], document["seed"]) == (50, 8)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("fleet.0.count", "--set fleet.0.count: write key=value, such as fleet.0.count=50"),
        ("=5", "--set =5: write key=value"),
        ("fleet.1.count=5", "--set fleet.1.count=5: there is no fleet.1 in the scenario; there are entries 0 to 0"),
        ("fleet.-1.count=5", "--set fleet.-1.count=5: there is no fleet.-1 in the scenario"),
        ("fleet.count=5", "--set fleet.count=5: there is no fleet.count in the scenario"),
        ("workload..x=5", "--set workload..x=5: there is no workload. in the scenario"),
        ("name=[1", "--set name=[1: the value is not valid YAML"),
        ("horizon=!!int foo", "--set horizon=!!int foo: the value is not valid YAML"),
        ("fleet.0.count=0", "s.yaml: --set fleet.0.count=0: fleet.0.count: 0 should be greater than 0"),
        ("fleet.0.cuont=9", "s.yaml: --set fleet.0.cuont=9: unknown key 'fleet.0.cuont'; did you mean 'count'?"),
        ("fleet=[]", "s.yaml: --set fleet=[]: 'fleet' is empty; give at least one entry"),
        ("fleet=[{count: 1}]", "s.yaml: --set fleet=[{count: 1}]: 'fleet.0.type' is missing"),
        ("seed.x=1", "s.yaml: --set seed.x=1: seed: a mapping is not a whole number"),
        ("seed=yes", "s.yaml: --set seed=yes: seed: 'yes' is not a whole number"),
        ("seed=true", "s.yaml: --set seed=true: seed: true is not a number"),
        ("boot.guest.law=weibul", "s.yaml: --set boot.guest.law=weibul: boot.guest: unknown law 'weibul'"),
        ("policy=best", "s.yaml: --set policy=best: there is no policy 'best'"),
        ("faults.outages=[{rack: no, at: 1, duration: 1}]", "s.yaml: --set faults.outages=[{rack: no, at: 1, dura"),
        (
            "workload.trace.format=huawei",
            "s.yaml:10:3: workload: a workload is either 'trace' or 'synthetic'; give one",
        ),
    ],
)
def test_an_error_in_an_option_names_the_option(tmp_path: Path, option: str, said: str) -> None:
    assert refusal(write(tmp_path / "s.yaml", SMALL), option).startswith(said)


def test_an_error_beside_an_option_mentions_it(tmp_path: Path) -> None:
    said = refusal(small(tmp_path), "workload.trace.format=huawei")
    assert said.endswith("(there with --set workload.trace.format=huawei)")


def test_errors_of_the_file_and_of_options_are_told_together(tmp_path: Path) -> None:
    lines = refusal(small(tmp_path, ("seed: 1", "seed: x")), "fleet.0.count=0").splitlines()
    assert lines == [
        "small.yaml:2:7: seed: 'x' is not a whole number",
        "--set fleet.0.count=0: fleet.0.count: 0 should be greater than 0",
    ]


def test_a_path_in_the_file_starts_at_the_file_and_one_in_an_option_at_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = by_hand(tmp_path / "studies")
    write(tmp_path / "here" / "vms.csv", "vm_id,arrival_s,lifetime_s,vcpus,memory_mb\nx,0,1,1,1\n")
    write(tmp_path / "studies" / "other.csv", "vm_id,arrival_s,lifetime_s,vcpus,memory_mb\ny,0,1,1,1\n")
    monkeypatch.chdir(tmp_path / "here")

    def first_vm(*options: str) -> str:
        return str(prepare(load_scenario(path, options)).workload.frame["vm_id"].iloc[0])

    assert first_vm() == "a"
    assert first_vm("workload.trace.path=vms.csv") == "x"
    assert first_vm("workload={trace: {format: normalised, path: vms.csv}}") == "x"
    assert first_vm("workload.trace.limit=1") == "a"
    assert first_vm("workload.trace.path=other.csv") == "y"  # not here, but beside the scenario
    assert first_vm(f"workload.trace.path={path.parent / 'vms.csv'}") == "a"


def test_a_path_that_leads_nowhere_is_told_from_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = by_hand(tmp_path / "studies")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(InputError) as caught:
        prepare(load_scenario(path, ["workload.trace.path=nope.csv"]))
    assert f"there is no {tmp_path / 'here' / 'nope.csv'}" in str(caught.value)
    (path.parent / "vms.csv").unlink()
    with pytest.raises(InputError) as caught:
        prepare(load_scenario(path))
    assert f"there is no {path.parent / 'vms.csv'}" in str(caught.value)
    assert (caught.value.line, caught.value.column) == (8, 37)
