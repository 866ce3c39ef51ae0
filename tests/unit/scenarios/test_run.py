"""Preparing and playing a scenario: notes, inventories, policies of one's own, and what ends without a folder."""

from __future__ import annotations

import json
import weakref
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sundog.errors import PolicyError
from sundog.scenarios.load import load_scenario
from sundog.scenarios.run import prepare, run_study
from sundog.sim.engine import Engine
from sundog.sim.replay import CompiledEngine
from tests.unit.scenarios.files import BY_HAND, VMS, by_hand, refusal, small, study_of, write


def vms_of(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "vms.parquet").set_index("vm_id")


# ---------------------------------------------------------------- VMs that cannot be placed


def test_vms_larger_than_any_host_are_reported_up_front_and_rejected_alone(tmp_path: Path) -> None:
    study = study_of(by_hand(tmp_path))
    assert study.notes == (
        "1 of 6 requests fit no host even when the fleet is empty, and will be rejected; the most frequent of 1 such "
        "sizes is huge (1024 MEMORY_MB, 64 VCPU), 1 times",
    )
    with_it = vms_of(run_study(study, tmp_path / "with"))
    assert with_it.loc["d", ["outcome", "reason"]].tolist() == ["rejected", "too large for any host"]

    without = "".join(line for line in VMS.splitlines(keepends=True) if not line.startswith("d,"))
    study = study_of(by_hand(tmp_path, vms=without))
    assert study.notes == ()
    alone = vms_of(run_study(study, tmp_path / "without"))
    pd.testing.assert_frame_equal(with_it.drop(index="d").astype(str), alone.astype(str))


def test_vms_that_fit_only_a_host_that_comes_later_are_not_called_impossible(tmp_path: Path) -> None:
    late = "  - {type: {name: big, vcpus: 64, memory: 64 GiB}, count: 1, at: 1 h}\nworkload:"
    path = write(by_hand(tmp_path), BY_HAND.replace("workload:", late))
    assert study_of(path).notes == ()


def test_engine_and_workload_are_gone_when_the_analysis_begins(tmp_path: Path) -> None:
    studies, seen = [study_of(by_hand(tmp_path))], []
    workload = weakref.ref(studies[0].workload.frame)
    run_study(
        studies.pop(),
        tmp_path / "out",
        on_engine=lambda engine: seen.append(weakref.ref(engine)),
        finish=lambda _: seen.extend([seen[0](), workload()]),
    )
    assert seen[1:] == [None, None]


# ---------------------------------------------------------------- traces


@pytest.mark.parametrize(
    ("vms", "said"),
    [
        ("", "vms.csv: "),
        (VMS.splitlines()[0] + "\n", "vms.csv: the file has columns but not one row; was it cut short?"),
        ("id,when\n1,2\n", "vms.csv:1: missing columns vm_id, arrival_s"),
        (VMS.replace("a,0,100,4,4096", "a,0,100,nan,4096"), "vms.csv:2: vcpus is"),
        (VMS.replace("a,0,100,4,4096", "a,0,100,-4,4096"), "vms.csv:2: vcpus is -4"),
        (VMS.replace("a,0,100,4,4096", "a,0,100,0,4096"), "vms.csv:2: vcpus is 0"),
        (VMS.replace("b,10", "a,10"), "vms.csv:3: "),
        (VMS.replace("b,10", "b,99"), "vms.csv:4: "),
        (VMS.replace("a,0,100", "a,0,-100"), "vms.csv:2: the VM ends before it starts"),
        (VMS[:60], "vms.csv"),
        (VMS.replace("a,0,100,4,4096", "a,0,100,1e300,4096"), "a VM that asks for 1e+300 of VCPU"),
    ],
)
def test_a_trace_that_is_wrong_is_refused_with_its_line_and_nothing_is_written(
    tmp_path: Path, vms: str, said: str
) -> None:
    assert said in refusal(by_hand(tmp_path, vms=vms))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["by-hand.yaml", "vms.csv"]


def test_a_parquet_trace_that_was_cut_is_refused(tmp_path: Path) -> None:
    path = write(by_hand(tmp_path), BY_HAND.replace("vms.csv", "vms.parquet"))
    whole = tmp_path / "vms.parquet"
    pd.read_csv(tmp_path / "vms.csv").to_parquet(whole)
    assert len(study_of(path).workload) == 6
    whole.write_bytes(whole.read_bytes()[:-20])
    assert refusal(path).startswith("vms.parquet: ")


def test_limit_and_time_scale_of_a_trace_are_obeyed_and_noted(tmp_path: Path) -> None:
    study = study_of(by_hand(tmp_path), "workload.trace.limit=2", "workload.trace.time_scale=0.5")
    assert study.workload.arrival_s.tolist() == [0.0, 5.0]
    assert study.workload.lifetime_s.tolist() == [50.0, 25.0]
    assert [note.split(" (")[1] for note in study.notes] == ["limit)", "time_scale)"]


def test_vms_that_arrive_after_the_horizon_are_left_out_with_a_note(tmp_path: Path) -> None:
    study = study_of(by_hand(tmp_path), "horizon=25")
    assert (len(study.workload), study.notes) == (3, ("3 VMs arrive after the horizon and are left out",))


def test_a_workload_without_vms_still_gives_whole_results(tmp_path: Path) -> None:
    study = study_of(small(tmp_path, ("arrivals_per_day: 200", "arrivals_per_day: 1e-9")))
    folder = run_study(study, tmp_path / "out")
    assert len(vms_of(folder)) == 0
    assert len(pd.read_parquet(folder / "placements.parquet")) == 0
    assert len(pd.read_parquet(folder / "hosts.parquet")) == 4


# ---------------------------------------------------------------- inventories

INVENTORY = """\
type,count,vcpus,memory_mb,disk_gb,gpus,gpu_model
old,2,8,16384,,,
new,3,16,32768,500,4,T4
"""


def with_inventory(folder: Path, table: str, more: str = "") -> Path:
    write(folder / "hosts.csv", table)
    start, _, rest = BY_HAND.partition("  - type")
    _, _, end = rest.partition("workload:")
    by_hand(folder)
    return write(folder / "s.yaml", f"{start}  - {{inventory: hosts.csv, zone: az1{more}}}\nworkload:{end}")


def test_a_fleet_may_be_read_from_a_table(tmp_path: Path) -> None:
    fleet = study_of(with_inventory(tmp_path, INVENTORY, ", racks: 2, scale: 2")).fleet
    assert (len(fleet), fleet.names[0], fleet.names[4], fleet.zone_of(0)) == (10, "old-0", "new-0", "az1")
    new = fleet.type_of(4)
    assert (new.vcpus, new.memory, new.disk, new.gpus, new.gpu_model) == (16, 32768, 500, 4, "T4")
    assert fleet.type_of(0).disk is None
    assert len(set(fleet.racks)) == 4


def test_a_fleet_may_keep_the_order_of_the_table(tmp_path: Path) -> None:
    rows = INVENTORY + "old,1,8,16384,,,\nold,1,8,16384,,,\n"
    by_type = study_of(with_inventory(tmp_path, rows)).fleet
    assert by_type.names == ("old-0", "old-1", "old-2", "old-3", "new-0", "new-1", "new-2")
    as_listed = study_of(with_inventory(tmp_path, rows, ", order: rows")).fleet
    assert as_listed.names == ("old-0", "old-1", "new-0", "new-1", "new-2", "old-2", "old-3")
    assert len(as_listed.groups) == 3, "neighbours of one type are one entry"
    assert "with 'order: rows' leave it out" in refusal(with_inventory(tmp_path, rows, ", order: rows, scale: 2"))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (INVENTORY.replace("memory_mb", "memory"), "hosts.csv:1: missing column memory_mb"),
        (INVENTORY.replace("old,2,8", "old,2,0"), "hosts.csv:2: vcpus is 0"),
        (INVENTORY.replace("old,2,8", "old,0,8"), "hosts.csv:2: count is 0"),
        (INVENTORY.replace("500,4", "500,4.5"), "hosts.csv:3: gpus is 4.5; a whole number"),
        (INVENTORY.replace("old,2,8", ",2,8"), "hosts.csv:2: type"),
    ],
)
def test_an_inventory_that_is_wrong_is_refused_with_its_line(tmp_path: Path, table: str, said: str) -> None:
    assert said in refusal(with_inventory(tmp_path, table))


def test_an_inventory_that_is_missing_or_scaled_to_nothing_is_refused_at_its_place(tmp_path: Path) -> None:
    path = with_inventory(tmp_path, INVENTORY, ", scale: 0.01")
    assert refusal(path).startswith("s.yaml:3:17: fleet.0.inventory: the inventory has no hosts")
    (tmp_path / "hosts.csv").unlink()
    assert refusal(path).startswith("s.yaml:3:17: fleet.0.inventory: there is no hosts.csv")
    path = write(path, path.read_text().replace("hosts.csv", "trace"))
    assert refusal(path).startswith("s.yaml:3:17: fleet.0.inventory: the trace has no inventory of hosts")


# ---------------------------------------------------------------- policies of one's own

POLICIES = """
import numpy as np

class Last:
    def choose(self, request, hosts):
        return int(np.flatnonzero(hosts.feasible)[-1])

class Tuned:
    def __init__(self, sign=1.0):
        self.sign = sign
    def score(self, request, hosts):
        return self.sign * np.arange(hosts.n)

class Patient(Last):
    def __init__(self, limit):
        self.limit = limit

class Raises(Last):
    def choose(self, request, hosts):
        if hosts.last >= 0:
            raise KeyError("no such weight")
        return super().choose(request, hosts)

class Infeasible:
    def choose(self, request, hosts):
        return 0

class Beyond:
    def choose(self, request, hosts):
        return 99

class Words:
    def choose(self, request, hosts):
        return "n-0"

class Nan:
    def score(self, request, hosts):
        return np.full(hosts.n, np.nan)

class Short:
    def score(self, request, hosts):
        return np.zeros(1)

class Unmade:
    def __init__(self):
        raise RuntimeError("not today")

class Nothing:
    pass

number = 5
"""


def with_policy(folder: Path, module: str, policy: str) -> Path:
    write(folder / f"{module}.py", POLICIES)
    by_hand(folder)
    return write(folder / "s.yaml", BY_HAND.replace("policy: first-fit", f"policy: {policy}"))


def first_host(path: Path, out: Path) -> str:
    run_study(study_of(path), out)
    return str(pd.read_parquet(out / "placements.parquet")["host"].iloc[0])


def test_a_policy_beside_the_scenario_is_found_and_given_its_parameters(tmp_path: Path) -> None:
    assert first_host(with_policy(tmp_path, "beside_it", "beside_it:Last"), tmp_path / "1") == "n-1"
    path = with_policy(tmp_path, "beside_it", "{name: 'beside_it:Tuned', sign: -1}")
    assert first_host(path, tmp_path / "2") == "n-0"


def test_a_policy_in_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = with_policy(tmp_path / "studies", "current_one", "current_one:Last")
    (tmp_path / "here").mkdir()
    (path.parent / "current_one.py").rename(tmp_path / "here" / "current_one.py")
    monkeypatch.chdir(tmp_path / "here")
    assert first_host(path, tmp_path / "out") == "n-1"


def test_a_run_is_repeated_from_its_folder_though_the_policy_is_elsewhere(tmp_path: Path) -> None:
    path = with_policy(tmp_path / "studies", "far_away", "far_away:Last")
    first = run_study(study_of(path), tmp_path / "first")
    lock = load_scenario(first).scenario.lock
    assert lock is not None
    assert lock.modules == (str(tmp_path / "studies"),)
    assert list(lock.files) == [str(tmp_path / "studies" / "far_away.py"), str(tmp_path / "studies" / "vms.csv")]
    again = run_study(study_of(first), tmp_path / "again")
    assert (again / "placements.parquet").read_bytes() == (first / "placements.parquet").read_bytes()


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (
            "Raises",
            "policy broken:Raises raised KeyError: 'no such weight'; it was given small (4096 MEMORY_MB, 4 VCPU)",
        ),
        ("Infeasible", "policy broken:Infeasible chose n-0, which is not feasible; it was given big"),
        ("Beyond", "policy broken:Beyond chose host 99 of 2"),
        ("Words", "policy broken:Words chose 'n-0', which is not the index of a host"),
        ("Nan", "policy broken:Nan scored a feasible host as NaN"),
        ("Short", "policy broken:Short scored with shape (1,) instead of (2,)"),
    ],
)
def test_a_policy_that_fails_is_named_with_the_decision_and_leaves_nothing_behind(
    tmp_path: Path, policy: str, said: str
) -> None:
    study = study_of(with_policy(tmp_path, "broken", f"broken:{policy}"))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(PolicyError) as caught:
        run_study(study, tmp_path / "out")
    assert said in str(caught.value)
    assert " at decision " in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("unmade:Unmade", "policy 'unmade:Unmade' raised RuntimeError: not today"),
        ("unmade:Nothing", "is no policy: it has neither score(request, hosts) nor choose(request, hosts)"),
        ("unmade:Nowhere", "module 'unmade' has no 'Nowhere'"),
        ("unmade:number", "policy 'unmade:number' is not a class"),
        ("{name: 'unmade:Last', x: 1}", "policy 'unmade:Last' does not take these parameters"),
    ],
)
def test_a_policy_that_cannot_be_made_is_refused_before_anything_runs(tmp_path: Path, policy: str, said: str) -> None:
    path = with_policy(tmp_path, "unmade", policy)
    assert "s.yaml:9:" in refusal(path)
    assert said in refusal(path)


def test_a_module_that_is_broken_is_refused_with_what_it_raised(tmp_path: Path) -> None:
    path = with_policy(tmp_path, "misspelt", "misspelt:Last")
    write(tmp_path / "misspelt.py", "class Last\n    pass\n")
    assert "module 'misspelt' raised SyntaxError" in refusal(path)


def test_parameters_that_json_does_not_know_do_not_end_a_run(tmp_path: Path) -> None:
    path = with_policy(tmp_path, "odd_ones", "{name: 'odd_ones:Patient', limit: .inf}")
    folder = run_study(study_of(path), tmp_path / "out")
    assert json.loads((folder / "run.json").read_text())["policy"] == {"name": "odd_ones:Patient", "limit": "inf"}


# ---------------------------------------------------------------- real traces, through their library scenarios

TRACES = {
    "azure-v1": "azure_v1_2017_arrivals",
    "huawei-east-1": "huawei_east_1/huawei_east_1_completed.parquet",
    "eucalyptus": "eucalyptus/DS1-trace.txt",
    "openb-gpu": "alibaba_openb_gpu_v2023",
    "openb-fgd": "alibaba_openb_gpu_v2023",
}


@pytest.mark.trace
@pytest.mark.parametrize("name", list(TRACES))
def test_a_library_scenario_plays_the_beginning_of_its_real_trace(name: str, traces: Path, tmp_path: Path) -> None:
    options = [f"workload.trace.path={traces / TRACES[name]}", "workload.trace.limit=2000"]
    study = prepare(load_scenario(name, options))
    vms: Any = vms_of(run_study(study, tmp_path / "out"))
    assert len(vms) == len(study.workload) <= 2000
    assert set(vms["outcome"]) <= {"completed", "running", "rejected", "lost"}
    # Nobody leaves in openb-fgd; the first 2,000 pods find room.
    ended = "running" if name == "openb-fgd" else "completed"
    assert (vms["outcome"] == ended).sum() > 0
    assert vms.loc[vms["outcome"] == "rejected", "reason"].ne("").all()


# ---------------------------------------------------------------- which engine


def many(folder: Path, policy: str) -> Path:
    """Enough VMs that the compiled engine is sooner done."""
    changes = ("arrivals_per_day: 200", "arrivals_per_day: 90000"), ("{name: best-fit}", f"{{name: {policy}}}")
    return small(folder, *changes, ("count: 4", "count: 900"))


def test_a_large_study_takes_the_compiled_engine_unless_decisions_are_watched(tmp_path: Path) -> None:
    study = prepare(load_scenario(many(tmp_path, "best-fit")))
    assert len(study.workload) >= 20_000
    assert type(study.engine()) is CompiledEngine
    assert type(study.engine(lambda _vm, _request: None)) is Engine
    assert type(prepare(load_scenario(small(tmp_path))).engine()) is Engine
    assert not [note for note in study.notes if "compiled" in note]


def test_a_large_study_whose_policy_is_not_compiled_says_so_once_and_why(tmp_path: Path) -> None:
    study = prepare(load_scenario(many(tmp_path, "power-of-k")))
    assert type(study.engine()) is Engine
    (note,) = (note for note in study.notes if "compiled" in note)
    assert note.startswith("policy power-of-k is not compiled, so this takes longer: PowerOfK has no host_score")


def test_kernels_that_were_compiled_once_are_not_announced_again(tmp_path: Path) -> None:
    study = prepare(load_scenario(many(tmp_path, "first-fit")))
    engine = study.engine()
    engine.run()
    assert engine.compiles is False
    assert study.engine().compiles is False
