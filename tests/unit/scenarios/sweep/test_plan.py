"""Which cells a sweep has: ranges, lists, their product, the seeds, and what is refused before anything runs."""

from __future__ import annotations

import math
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sundog.errors import InputError
from sundog.scenarios.load import load_scenario
from sundog.scenarios.sweep.plan import Plan, derived_seeds, parse_vary, plan_sweep
from tests.unit.scenarios.files import SMALL, by_hand, small, write

TWO_RACKS = ("racks: 2", "racks: 1")


def refusal(path: Path, *varied: str, options: tuple[str, ...] = (), replicates: int = 1) -> str:
    with pytest.raises(InputError) as caught:
        plan_sweep(path, varied, replicates=replicates, options=options)
    return caught.value.message.replace(f"{path.parent}/", "")


def keys(plan: Plan) -> list[str]:
    return [cell.key for cell in plan.cells]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ("a,b,c", ("a", "b", "c")),
        (" a , b ", ("a", "b")),
        ("100:200:50", ("100", "150", "200")),
        ("100:199:50", ("100", "150")),
        ("3:1:-1", ("3", "2", "1")),
        ("5:5:1", ("5",)),
        ("0.1:0.3:0.1", ("0.1", "0.2", "0.3")),
        ("-1:1:.5", ("-1", "-0.5", "0", "0.5", "1")),
        ("1e3:2e3:500", ("1000", "1500", "2000")),
        ("1 h:2 h:30 min", ("60 min", "90 min", "120 min")),
        ("1h:3h:1h", ("1 h", "2 h", "3 h")),
        ("1 GiB:3 GiB:1024 MiB", ("1024 MiB", "2048 MiB", "3072 MiB")),
        ("1,10:30:10,99", ("1", "10", "20", "30", "99")),
        ("mine:Policy,other:Policy", ("mine:Policy", "other:Policy")),
        ("best-fit,{name: nova, x: [1, 2]}", ("best-fit", "{name: nova, x: [1, 2]}")),
        ("'a,b',\"c,d\"", ("'a,b'", '"c,d"')),
        ("it's,b", ("it's", "b")),
    ],
)
def test_values_are_parted_by_commas_and_ranges_include_their_end(values: str, texts: tuple[str, ...]) -> None:
    assert parse_vary(f"key={values}").texts == texts


def test_a_value_is_called_what_a_reader_would_call_it() -> None:
    text = "policy=best-fit,{name: nova, ram_weight_multiplier: -1.0, deep: {on: true}},2,0.5,true,[1, 2],{wait: 1 h}"
    assert parse_vary(text).labels == (
        "best-fit", "nova(ram_weight_multiplier=-1.0, deep=(on=true))", 2, 0.5, True, "[1, 2]", "wait=1 h",
    )  # fmt: skip


@given(
    start=st.decimals(-1000, 1000, places=3), step=st.decimals("0.001", 100, places=3), steps=st.integers(0, 50),
    up=st.booleans(), short=st.decimals(0, "0.999", places=3),
)  # fmt: skip
def test_a_range_has_every_step_and_nothing_beyond_its_end(
    start: Decimal, step: Decimal, steps: int, up: bool, short: Decimal
) -> None:
    step = step if up else -step
    stop = start + step * steps + step * short
    texts = parse_vary(f"k={start}:{stop:f}:{step}").texts
    assert [Decimal(each) for each in texts] == [start + step * i for i in range(steps + 1)]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("policy", "--vary policy: write key=values"),
        ("=a,b", "--vary =a,b: write key=values"),
        ("policy=a,,b", "a value is empty"),
        ("policy=", "a value is empty"),
        ("policy=a,a", "a is given twice"),
        ("count=1,1:3:1", "1 is given twice"),
        ("count=1:3:0", "0 leads nowhere"),
        ("count=3:1:1", "a step of 1 leads away from 1"),
        ("count=1:1e9:1", "the most is 100,000"),
        ("count=1 h:3:1 h", "give a unit with each of the three numbers"),
        ("count=1 h:3 GiB:1 h", "h, GiB are not units of one kind"),
        ("policy={name: a", "'}' is missing at the end"),
        ("policy=a}", "'}' closes nothing"),
        ("policy='a", '"\'" is missing at the end'),
        ("policy=a: b: c", "is not valid YAML"),
    ],
)
def test_what_is_no_list_of_values_is_refused(option: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_vary(option)
    assert said in caught.value.message
    assert caught.value.message.startswith("--vary ")


POLICIES = ("best-fit", "worst-fit", "first-fit", "random")


@settings(max_examples=20, deadline=None)
@given(
    policies=st.lists(st.sampled_from(POLICIES), min_size=1, max_size=3, unique=True),
    counts=st.lists(st.integers(2, 9), min_size=1, max_size=3, unique=True),
    replicates=st.integers(1, 4),
    seed0=st.integers(0, 2**32),
)
def test_the_cells_are_the_product_in_the_order_asked_for(
    tmp_path_factory: pytest.TempPathFactory, policies: list[str], counts: list[int], replicates: int, seed0: int
) -> None:
    path = write(tmp_path_factory.mktemp("plan") / "small.yaml", SMALL)
    varied = [f"policy={','.join(policies)}", f"fleet.0.count={','.join(map(str, counts))}"]
    plan = plan_sweep(path, varied, replicates=replicates, seed0=seed0)
    cells = list(plan.cells)
    assert len(plan) == len(cells) == len(set(keys(plan)))
    told = [(c.loaded.scenario.policy.name, c.loaded.scenario.fleet[0].count, c.seed) for c in cells]  # type: ignore[union-attr]
    assert told == list(product(policies, counts, derived_seeds(seed0, replicates)))
    assert all(c.loaded.scenario.seed == c.loaded.document["seed"] == c.seed for c in cells)
    assert keys(plan) == keys(plan_sweep(path, varied, replicates=replicates, seed0=seed0))


@given(seed0=st.integers(0, 2**80), few=st.integers(1, 20), more=st.integers(0, 20))
def test_more_seeds_change_none_and_no_two_are_equal(seed0: int, few: int, more: int) -> None:
    seeds = derived_seeds(seed0, few + more)
    assert seeds[:few] == derived_seeds(seed0, few)
    assert len(set(seeds)) == few + more
    assert all(0 <= each < 2**53 for each in seeds)


def test_seeds_come_from_the_scenario_unless_another_is_given(tmp_path: Path) -> None:
    path = small(tmp_path, ("seed: 1", "seed: 7"))
    assert plan_sweep(path, [], replicates=3).seeds == derived_seeds(7, 3)
    assert plan_sweep(path, [], replicates=3, seed0=8).seeds == derived_seeds(8, 3)
    assert plan_sweep(path, [], replicates=3, options=["seed=9"]).seeds == derived_seeds(9, 3)


def test_without_keys_there_is_one_combination(tmp_path: Path) -> None:
    plan = plan_sweep(small(tmp_path), [], replicates=2)
    assert [(cell.combination.labels, cell.replicate) for cell in plan.cells] == [({}, 0), ({}, 1)]


def test_a_policy_with_parameters_is_varied_with_them(tmp_path: Path) -> None:
    plan = plan_sweep(small(tmp_path), ["policy={name: nova, ram_weight_multiplier: -1},nova"], replicates=1)
    assert [each.loaded.scenario.policy.parameters for each in plan.combinations] == [{"ram_weight_multiplier": -1}, {}]


@pytest.mark.parametrize(
    ("varied", "said"),
    [
        (["fleet.0.count=4,0"], "small.yaml: --vary fleet.0.count=0: fleet.0.count: 0"),
        (["fleet.0.count=4,1"], "2 racks for 1 hosts"),
        (["fleet.0.count=4,1"], "--vary fleet.0.count=1"),
        (["policy=best-fit,worstfit"], "--vary policy=worstfit: there is no policy 'worstfit'"),
        (["fleet.1.count=1,2"], "--vary fleet.1.count=1: there is no fleet.1"),
        (["horizon=1 h,1 parsec"], "'parsec' is not a unit of time"),
        (["horizn=1 h"], "unknown key 'horizn'"),
        (["warmup=1 h,7 h"], "--vary warmup=7 h"),
        (["seed=1,2"], "say how many with --seeds"),
        (["policy=random", "policy=best-fit"], "--vary policy is given twice"),
        (["horizon=1:1000:1", "warmup=1:1000:1"], "1,000,000 cells; the most is 100,000"),
    ],
)
def test_a_combination_that_cannot_run_is_refused_by_name_before_any_does(
    tmp_path: Path, varied: list[str], said: str
) -> None:
    assert said in refusal(small(tmp_path), *varied)


def test_a_key_that_is_set_cannot_vary(tmp_path: Path) -> None:
    said = refusal(small(tmp_path), "policy=random", options=("policy=best-fit",))
    assert said == "policy is given with --set and with --vary; leave one of them out"


def test_less_than_one_seed_is_refused(tmp_path: Path) -> None:
    assert refusal(small(tmp_path), replicates=0) == "--seeds 0: give at least 1"


def test_a_trace_that_is_not_there_is_missed_before_anything_runs(tmp_path: Path) -> None:
    assert "there is no" in refusal(by_hand(tmp_path), "workload.trace.path=vms.csv,wms.csv")


def test_a_cell_knows_its_trace_wherever_it_is_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand(tmp_path)
    monkeypatch.chdir(tmp_path)
    plan = plan_sweep("by-hand.yaml", ["policy=first-fit,best-fit"], replicates=1)
    monkeypatch.chdir("/")
    for cell in plan.cells:
        spec = cell.loaded.scenario.workload.trace
        assert spec is not None
        assert spec.path == str(tmp_path / "vms.csv")
        assert cell.loaded.resolve(spec.path, "workload", "trace", "path") == tmp_path / "vms.csv"
    assert plan.inputs == (tmp_path / "vms.csv",)


def test_the_scenario_of_a_cell_is_that_of_a_run_with_its_options(tmp_path: Path) -> None:
    path = small(tmp_path)
    plan = plan_sweep(path, ["policy=best-fit,random", "horizon=2 h:3 h:1 h"], replicates=1)
    for cell in plan.cells:
        run = load_scenario(path, cell.combination.options, seed=cell.seed)
        assert cell.loaded.scenario == run.scenario
        assert cell.loaded.document == run.document
    assert math.prod((len(plan.varied[0].texts), len(plan.varied[1].texts))) == len(plan)
