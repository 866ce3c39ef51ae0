"""A scenario with several schedulers: its form, its tables and figures, and that nothing changes without the key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sundog.analysis import Results, analyse
from sundog.analysis import schedulers as figures
from sundog.cli.explain import explain_decision
from sundog.scenarios.run import run_study
from sundog.sim import schedulers as mechanism
from tests.unit.scenarios.files import SMALL, by_hand, refusal, small, study_of, write

COLUMNS = ["scheduler", "commits", "choice", "queued_s", "scheduling_s"]
SHARED = ("faults:\n", "schedulers: {count: 3, refresh: 20 s, decision: 30 s, delay: 1 s}\nfaults:\n")


def played(study: Any, out: Path) -> tuple[pd.DataFrame, dict[str, Any], dict[str, Any]]:
    run_study(study, out)
    summary = analyse(out, report=True)
    return pd.read_parquet(out / "vms.parquet"), summary, json.loads((out / "run.json").read_text())


def test_a_run_with_several_schedulers_has_columns_and_figures_of_them(tmp_path: Path) -> None:
    vms, summary, run = played(study_of(small(tmp_path, SHARED)), tmp_path / "out")
    assert list(vms.columns[-5:]) == COLUMNS
    assert run["schedulers"] == {"count": 3}
    told = {key: each["value"] for key, each in summary["figures"].items() if key.startswith("scheduling.")}
    asked = vms[vms["arrival_s"] >= 0]
    placed = asked["start_s"].notna()
    assert told["scheduling.schedulers"] == 3
    assert told["scheduling.commits"] == asked["commits"].sum()
    assert told["scheduling.conflicts"] == asked["commits"].sum() - placed.sum()
    assert told["scheduling.conflict_rate"] == pytest.approx(told["scheduling.conflicts"] / told["scheduling.commits"])
    assert told["scheduling.commits_per_placement"] == pytest.approx(asked["commits"].sum() / placed.sum())
    assert told["scheduling.by_alternate"] == (asked["choice"] > 0).sum()
    assert told["scheduling.busy_share"] == pytest.approx(asked["scheduling_s"].sum() / (3 * 6 * 3600))
    assert told["scheduling.queue_mean"] == pytest.approx(asked["queued_s"].mean())
    assert summary["conservation"]["holds"]
    assert "Conflicts" in (tmp_path / "out" / "report.html").read_text()


def test_without_the_key_there_is_nothing_of_them(tmp_path: Path) -> None:
    vms, summary, run = played(study_of(small(tmp_path)), tmp_path / "out")
    assert not set(COLUMNS) & set(vms.columns)
    assert "schedulers" not in run
    assert not [key for key in summary["figures"] if key.startswith("scheduling.")]
    assert "Conflicts" not in (tmp_path / "out" / "report.html").read_text()


def test_one_scheduler_that_takes_no_time_gives_the_same_tables(tmp_path: Path) -> None:
    plain, _, _ = played(study_of(small(tmp_path)), tmp_path / "plain")
    one, _, _ = played(study_of(small(tmp_path, ("faults:\n", "schedulers: {}\nfaults:\n"))), tmp_path / "one")
    pd.testing.assert_frame_equal(one.drop(columns=COLUMNS), plain)
    stays = [pd.read_parquet(tmp_path / name / "placements.parquet") for name in ("plain", "one")]
    pd.testing.assert_frame_equal(*stays)


def test_the_analysis_knows_reasons_by_the_words_that_the_engine_uses() -> None:
    assert (figures.CONFLICT, figures.STALE) == (mechanism.CONFLICT, mechanism.STALE)


def test_requests_rejected_by_conflicts_and_by_old_views_are_counted(tmp_path: Path) -> None:
    rows = "vm_id,arrival_s,lifetime_s,vcpus,memory_mb\na,0,100,12,1024\nb,0,100,12,1024\nc,105,9,12,1024\n"
    rules = "schedulers: {count: 2, decision: 1, refresh: 1000, alternates: 0, retries: 0}\n"
    path = by_hand(tmp_path, vms=rows + "d,106,9,12,1024\n")
    write(path, path.read_text() + rules)
    study = study_of(path, "fleet.0.count=1", "fleet.0.racks=1")
    vms, summary, _ = played(study, tmp_path / "out")
    assert vms["reason"].tolist() == ["", "conflict: no room: VCPU", "stale view: no room: VCPU", ""]
    told = {key: summary["figures"][f"scheduling.{key}"]["value"] for key in ("rejected_conflict", "rejected_stale")}
    assert told == {"rejected_conflict": 1, "rejected_stale": 1}
    assert Results.load(tmp_path / "out").vms.scheduling is not None


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ("{count: 0}", "small.yaml:20:21: schedulers.count"),
        ("{counts: 2}", "small.yaml:20:14: unknown key 'schedulers.counts'; did you mean 'count'?"),
        ("{decision: 5 parsecs}", "small.yaml:20:24: schedulers.decision"),
        ("{decision: {law: normal, mean: 1}}", "small.yaml:20:24: schedulers.decision: unknown law 'normal'"),
        ("{assign: any}", "small.yaml:20:22: schedulers.assign"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, rules: str, told: str) -> None:
    before = SMALL[: SMALL.index("faults:")].count("\n") + 1
    path = small(tmp_path, ("faults:\n", f"schedulers: {rules}\nfaults:\n"))
    assert told.replace(":20:", f":{before}:") in refusal(path)


def test_a_decision_is_explained_on_the_view_that_it_was_taken_on(tmp_path: Path) -> None:
    """b's scheduler does not know that a has left."""
    rows = "vm_id,arrival_s,lifetime_s,vcpus,memory_mb\na,0,10,12,1024\nb,20,5,12,1024\n"
    path = by_hand(tmp_path, vms=rows)
    write(path, path.read_text() + "schedulers: {refresh: 1000}\n")
    study = study_of(path, "fleet.0.count=1", "fleet.0.racks=1")
    run_study(study, tmp_path / "out")
    told = explain_decision(tmp_path / "out", "b")
    assert {each.filter: each.refused for each in told.explanation.funnel}["ResourcesFilter"] == 1


def test_a_large_study_says_that_it_takes_longer(tmp_path: Path) -> None:
    many = ("arrivals_per_day: 200", "arrivals_per_day: 100000")
    assert study_of(small(tmp_path, many)).notes == ()
    note = "several schedulers are not played in compiled code, so this takes longer than with one"
    assert study_of(small(tmp_path, many, SHARED)).notes == (note,)
