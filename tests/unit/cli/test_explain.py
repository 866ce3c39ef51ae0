"""``sundog explain`` tells the decisions that the run really took."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from sundog.cli.explain import explain_decision
from sundog.errors import InputError
from tests.unit.cli.conftest import Command
from tests.unit.scenarios.files import BY_HAND, VMS, by_hand, small, study_of, write


@pytest.fixture(scope="module")
def hand(sundog: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hand")
    assert sundog("run", by_hand(folder), "--out", folder / "out").code == 0
    return folder / "out"


def text(printed: str) -> str:
    """What was printed, without the breaks of lines."""
    return " ".join(printed.split())


def test_a_vm_that_was_placed_is_explained_with_its_host(sundog: Command, hand: Path) -> None:
    ran = sundog("explain", hand, "b", "--json")
    assert (ran.code, ran.err) == (0, "")
    told = ran.json
    assert (told["vm_id"], told["time_s"], told["host"], told["outcome"]) == ("b", 10, "n-0", "completed")
    assert (told["demand"], told["reason"], told["why_not"]) == ("4096 MEMORY_MB, 4 VCPU", None, None)
    assert [each["host"] for each in told["best"]] == ["n-0", "n-1"]
    assert {each["filter"]: each["refused"] for each in told["funnel"]}["ResourcesFilter"] == 0
    printed = text(sundog("explain", hand, "b").out)
    assert "VM b at 10 s, asking 4096 MEMORY_MB, 4 VCPU: placed on n-0" in printed
    assert "Best hosts" in printed


def test_a_vm_that_was_rejected_is_explained_with_the_filter_that_refused(sundog: Command, hand: Path) -> None:
    told = sundog("explain", hand, "f", "--json").json
    assert (told["time_s"], told["host"], told["reason"], told["best"]) == (45, None, "no room: VCPU", [])
    assert {each["filter"]: each["refused"] for each in told["funnel"]}["ResourcesFilter"] == 2
    assert told["relaxations"] == [{"filter": "ResourcesFilter", "hosts": 2}]
    printed = text(sundog("explain", hand, "f").out)
    assert "rejected: no room: VCPU" in printed
    assert "Feasible if one filter were left out: without ResourcesFilter: 2 hosts" in printed


def test_a_vm_too_large_for_any_host_is_explained(sundog: Command, hand: Path) -> None:
    assert sundog("explain", hand, "d", "--json").json["reason"] == "too large for any host"


def test_why_not_tells_the_place_of_a_host_that_a_policy_scored(sundog: Command, tmp_path: Path) -> None:
    ran = sundog("run", by_hand(tmp_path), "--set", "policy=worst-fit", "--out", tmp_path / "out")
    assert ran.code == 0
    best = sundog("explain", tmp_path / "out", "b", "--json").json["best"]
    second = best[1]["host"]
    printed = text(sundog("explain", tmp_path / "out", "b", "--why-not", second).out)
    assert f"{second} was feasible, but came only as number 2 in the policy's order, with score " in printed


def test_why_not_tells_of_the_chosen_a_feasible_and_an_infeasible_host(sundog: Command, hand: Path) -> None:
    chosen = sundog("explain", hand, "b", "--why-not", "n-0", "--json").json["why_not"]
    assert (chosen["chosen"], chosen["failed"]) == (True, [])
    assert "n-0 is the host that was chosen." in sundog("explain", hand, "b", "--why-not", "n-0").out

    feasible = sundog("explain", hand, "b", "--why-not", "n-1", "--json").json["why_not"]
    assert (feasible["chosen"], feasible["failed"], feasible["scored"]["rank"]) == (False, [], 2)
    printed = text(sundog("explain", hand, "b", "--why-not", "n-1").out)
    assert "n-1 was feasible; the policy chooses without scoring, and chose another." in printed

    infeasible = sundog("explain", hand, "c", "--why-not", "n-0", "--json").json["why_not"]
    assert (infeasible["chosen"], infeasible["scored"], infeasible["relax"]) == (False, None, "ResourcesFilter")
    assert infeasible["failed"][0][0] == "ResourcesFilter"
    printed = text(sundog("explain", hand, "c", "--why-not", "n-0").out)
    assert "n-0 was not feasible: ResourcesFilter: " in printed
    assert "Leaving out ResourcesFilter alone would have made it feasible." in printed


def test_the_number_of_best_hosts_is_what_is_asked(sundog: Command, hand: Path) -> None:
    assert len(sundog("explain", hand, "b", "--best", 1, "--json").json["best"]) == 1
    assert sundog("explain", hand, "b", "--best", 0).code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["z"], "the run has no VM 'z'; ids are such as a, b, c"),
        (["b", "--why-not", "n-7"], "there is no host 'n-7'"),
    ],
)
def test_names_that_the_run_does_not_have_are_refused(
    sundog: Command, hand: Path, arguments: list[str], said: str
) -> None:
    ran = sundog("explain", hand, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_a_trace_that_changed_since_the_run_is_refused(sundog: Command, tmp_path: Path) -> None:
    assert sundog("run", by_hand(tmp_path), "--out", tmp_path / "out").code == 0
    by_hand(tmp_path, vms=VMS.replace("a,0,100", "a,0,90"))
    ran = sundog("explain", tmp_path / "out", "b")
    assert (ran.code, ran.out) == (2, "")
    assert f"{tmp_path / 'vms.csv'} has changed since the run, or is gone" in ran.err


def test_a_policy_that_changed_since_the_run_is_refused(sundog: Command, tmp_path: Path) -> None:
    policy = "class Mine:\n    def choose(self, request, hosts):\n        return int(hosts.feasible.argmax())\n"
    write(tmp_path / "may_change.py", policy)
    by_hand(tmp_path)
    scenario = write(tmp_path / "s.yaml", BY_HAND.replace("policy: first-fit", "policy: may_change:Mine"))
    assert sundog("run", scenario, "--out", tmp_path / "out").code == 0
    assert sundog("explain", tmp_path / "out", "b", "--json").json["host"] == "n-0"
    write(tmp_path / "may_change.py", policy.replace("argmax", "argmin"))
    assert f"{tmp_path / 'may_change.py'} has changed since the run" in sundog("explain", tmp_path / "out", "b").err


def test_a_score_that_is_infinite_is_null_in_json(sundog: Command, tmp_path: Path) -> None:
    policy = "import numpy as np\n\nclass Mine:\n    def score(self, request, hosts):\n        return "
    write(tmp_path / "infinite.py", policy + "np.array([-np.inf, 1.0])\n")
    by_hand(tmp_path)
    scenario = write(tmp_path / "s.yaml", BY_HAND.replace("policy: first-fit", "policy: infinite:Mine"))
    assert sundog("run", scenario, "--out", tmp_path / "out").code == 0
    best = sundog("explain", tmp_path / "out", "a", "--json").json["best"]
    assert [(each["host"], each["score"]) for each in best] == [("n-1", 1.0), ("n-0", None)]


def test_a_vm_that_waited_is_explained_by_the_decision_that_placed_it(sundog: Command, tmp_path: Path) -> None:
    # Of 12 vCPUs on each of two hosts, y is refused at 10 s and placed when x has gone at 60 s; z waits in vain.
    vms = """\
vm_id,arrival_s,lifetime_s,vcpus,memory_mb
w,0,1000,12,1
x,0,60,12,1
y,10,500,8,1
z,20,500,8,1
"""
    by_hand(tmp_path, vms=vms)
    scenario = write(tmp_path / "s.yaml", BY_HAND + "on_full: {wait: 2 min}\n")
    assert sundog("run", scenario, "--out", tmp_path / "out").code == 0
    placed = sundog("explain", tmp_path / "out", "y", "--json").json
    assert (placed["time_s"], placed["host"]) == (60, "n-1")
    in_vain = sundog("explain", tmp_path / "out", "z", "--json").json
    assert (in_vain["host"], in_vain["reason"], in_vain["outcome"]) == (None, "no room: VCPU", "rejected")


@pytest.mark.parametrize("policy", ["best-fit", "round-robin", "random", "nova"])
def test_every_explanation_of_a_run_with_failures_and_waiting_agrees_with_its_tables(
    sundog: Command, tmp_path: Path, policy: str
) -> None:
    scenario = small(tmp_path, ("best-fit", policy), ("count: 4", "count: 3"), ("mtbf: 1 d", "mtbf: 6 h"))
    out = tmp_path / "out"
    assert sundog("run", scenario, "--out", out, "--set", "workload.synthetic.group_policy=anti-affinity").code == 0
    vms = pd.read_parquet(out / "vms.parquet")
    arrivals = pd.read_parquet(out / "placements.parquet").query("cause == 'arrival'").set_index("vm_id")
    outcomes = Counter(vms["outcome"])
    assert outcomes["rejected"]
    assert outcomes["completed"]
    for vm in vms.iloc[:: 1 if policy == "best-fit" else 4].itertuples():
        told = explain_decision(out, str(vm.vm_id)).as_dict()
        if vm.outcome == "rejected":
            assert told["host"] is None
            assert str(vm.reason).startswith(told["reason"].split(":")[0])
        else:
            stay = arrivals.loc[vm.vm_id]
            assert (told["host"], told["time_s"]) == (stay["host"], stay["start_s"])
            assert told["host"] in [each["host"] for each in told["best"]]
            assert policy != "best-fit" or told["host"] == told["best"][0]["host"]
        assert told["outcome"] == vm.outcome


def test_explaining_changes_nothing_in_the_result_folder(hand: Path) -> None:
    before = {each.name: (each.stat().st_mtime_ns, each.stat().st_size) for each in hand.iterdir()}
    explain_decision(hand, "b", host="n-1")
    assert {each.name: (each.stat().st_mtime_ns, each.stat().st_size) for each in hand.iterdir()} == before


def test_a_folder_without_its_tables_is_refused(sundog: Command, tmp_path: Path) -> None:
    assert sundog("run", by_hand(tmp_path), "--out", tmp_path / "out").code == 0
    table = tmp_path / "out" / "vms.parquet"
    table.write_bytes(table.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"vms\.parquet: cannot be read"):
        explain_decision(tmp_path / "out", "b")
    assert len(study_of(tmp_path / "out").workload) == 6
