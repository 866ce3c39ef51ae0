"""``sundog sweep`` and ``sundog compare`` in this process: what they print, write and refuse."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.unit.cli.conftest import Command
from tests.unit.scenarios.files import small, write

FAILING = """\
class Failing:
    def choose(self, request, hosts):
        raise RuntimeError("no idea")
"""


@pytest.fixture(scope="module")
def swept(sundog: Command, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A sweep of two policies and two fleets with three seeds, by one process."""
    folder = tmp_path_factory.mktemp("swept")
    ran = sundog(
        "sweep", small(folder), "--vary", "policy=best-fit,worst-fit", "--vary", "fleet.0.count=4:6:2", "--seeds", 3,
        "--jobs", 1, "--out", folder / "out",
    )  # fmt: skip
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"12 cells: 12 done, 0 failed\nResults: {folder / 'out' / 'results.parquet'}\n"
    return folder / "out"


def test_results_do_not_depend_on_the_number_of_jobs(sundog: Command, swept: Path, tmp_path: Path) -> None:
    ran = sundog(
        "sweep", swept.parent / "small.yaml", "--vary", "policy=best-fit,worst-fit", "--vary", "fleet.0.count=4:6:2",
        "--seeds", 3, "--jobs", 2, "--out", tmp_path, "--json",
    )  # fmt: skip
    assert ran.json == {
        "cells": 12, "done": 12, "failed": 0, "partial": False, "results": str(tmp_path / "results.parquet"),
    }  # fmt: skip
    for name in ("results.parquet", "results.csv"):
        assert (tmp_path / name).read_bytes() == (swept / name).read_bytes()
    workers = [json.loads(line)["where"] for line in (tmp_path / "cells.jsonl").read_text().splitlines()]
    assert len(set(workers)) == 2


def test_a_row_of_the_results_is_a_run_with_its_seed(sundog: Command, swept: Path, tmp_path: Path) -> None:
    row = pd.read_parquet(swept / "results.parquet").iloc[7]
    assert (row["policy"], row["fleet.0.count"], row["replicate"]) == ("worst-fit", 4, 1)
    ran = sundog(
        "run", swept.parent / "small.yaml", "--set", "policy=worst-fit", "--set", "fleet.0.count=4",
        "--seed", row["seed"], "--out", tmp_path / "run", "--json",
    )  # fmt: skip
    figures = {key: each["value"] for key, each in ran.json["figures"].items()}
    assert {key: None if pd.isna(row[key]) else row[key] for key in figures} == figures


def test_the_same_command_again_has_nothing_to_do_and_another_is_refused(sundog: Command, swept: Path) -> None:
    scenario, fleet = swept.parent / "small.yaml", ("--vary", "fleet.0.count=4:6:2", "--seeds", 3, "--out", swept)
    before = (swept / "results.parquet").read_bytes(), (swept / "cells.jsonl").read_bytes()
    ran = sundog("sweep", scenario, "--vary", "policy=best-fit,worst-fit", *fleet)
    assert (ran.code, ran.err) == (0, "note: 12 of 12 cells were done before\n")
    ran = sundog("sweep", scenario, "--vary", "policy=best-fit,random", *fleet)
    assert (ran.code, ran.out) == (4, "")
    assert f"{swept} has another sweep: vary.policy.1 was worst-fit, now random." in ran.err
    assert before == ((swept / "results.parquet").read_bytes(), (swept / "cells.jsonl").read_bytes())


def test_a_cell_that_fails_is_told_and_the_others_go_on(
    sundog: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "failing_in_sweep.py", FAILING)
    command = (
        "sweep", small(tmp_path), "--vary", "policy=failing_in_sweep:Failing,first-fit", "--seeds", 2, "--jobs", 1,
        "--out", "out",
    )  # fmt: skip
    ran = sundog(*command)
    assert ran.code == 3
    assert "4 cells: 2 done, 2 failed" in ran.out
    assert "failed: policy=failing_in_sweep:Failing, seed " in ran.err
    assert "no idea" in ran.err
    results = pd.read_parquet("out/results.parquet")
    assert results["error"].notna().tolist() == [True, True, False, False]
    assert results["requests.total"].notna().tolist() == [False, False, True, True]
    ran = sundog(*command)
    assert (ran.code, ran.err.splitlines()[0]) == (3, "note: 2 of 4 cells were done before")
    journal = (tmp_path / "out" / "cells.jsonl").read_text().splitlines()
    assert [json.loads(line).get("exit_code") for line in journal] == [3, None, 3, None, 3, 3]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--vary", "policy=best-fit,worstfit"], "--vary policy=worstfit: there is no policy 'worstfit'"),
        (["--vary", "fleet.0.count=9,0"], "--vary fleet.0.count=0: fleet.0.count: 0 should be greater than 0"),
        (["--vary", "policy"], "--vary policy: write key=values"),
        (["--address", "auto"], "give --engine ray with it"),
    ],
)
def test_what_cannot_be_swept_is_refused_and_nothing_is_written(
    sundog: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = sundog("sweep", small(tmp_path), *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert [each.name for each in tmp_path.iterdir()] == ["small.yaml"]


def test_without_ray_it_says_which_extra_to_install(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['ray'] = None; from sundog.cli.main import main; "
        f"main(['sweep', {str(small(tmp_path))!r}, '--engine', 'ray', '--out', {str(tmp_path / 'out')!r}])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr == "sundog: --engine ray needs Ray, which is not installed; pip install 'sundog[ray]'\n"


# ---------------------------------------------------------------- compare


def test_a_comparison_is_printed_and_written(sundog: Command, swept: Path, tmp_path: Path) -> None:
    ran = sundog("compare", swept, "--metric", "hosts.empty_mean", "--metric", "packing.*", "--out", tmp_path)
    assert ran.code == 0, ran.err
    assert "12 of 12 cells are done" in ran.out
    assert "hosts.empty_mean: differences, seed by seed" in ran.out
    assert f"Comparison: {tmp_path / 'compare.md'}" in ran.out
    assert "\x1b" not in ran.out
    figures = sorted(each.name for each in (tmp_path / "figures").iterdir())
    assert figures == ["over-fleet.0.count.png", "ranks.png"]
    for name in figures:
        assert f"(figures/{name})" in (tmp_path / "compare.md").read_text()


def test_a_narrow_terminal_loses_no_column(
    sundog: Command, swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {}
    for columns in ("30", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        ran = sundog("compare", swept, "--metric", "hosts.empty_mean", "--out", tmp_path)
        assert "…" not in ran.out
        told[columns] = sorted(ran.out.split())
    assert "verdict" in told["30"]
    assert told["30"] == told["200"]


def test_a_comparison_as_json_has_what_a_reader_can_check(sundog: Command, swept: Path, tmp_path: Path) -> None:
    baseline = ("--baseline", "policy=worst-fit", "--baseline", "fleet.0.count=6")
    told = sundog("compare", swept, "--metric", "hosts.empty_mean", *baseline, "--out", tmp_path, "--json").json
    assert told == json.loads((tmp_path / "compare.json").read_text())
    assert told["baseline"] == {"policy": "worst-fit", "fleet.0.count": 6}
    frame = pd.read_parquet(swept / "results.parquet").set_index(["policy", "fleet.0.count", "seed"])[
        "hosts.empty_mean"
    ]
    metric = told["metrics"]["hosts.empty_mean"]
    for each in metric["estimates"]:
        assert each["mean"] == pytest.approx(frame[tuple(each["labels"].values())].mean())
    for each in metric["differences"]:
        d = frame[tuple(each["labels"].values())] - frame[tuple(each["baseline"].values())]
        assert (each["mean"], each["sd"], each["seeds"]) == (pytest.approx(d.mean()), pytest.approx(d.std()), 3)
    assert len(metric["differences"]) == 3


def test_an_unfinished_sweep_is_compared_as_far_as_it_is(sundog: Command, swept: Path, tmp_path: Path) -> None:
    for name in ("sweep.yaml", "cells.jsonl"):
        (tmp_path / name).write_bytes((swept / name).read_bytes())
    lines = (tmp_path / "cells.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "cells.jsonl").write_bytes(b"".join(lines[:8]) + lines[8][:50])
    ran = sundog("compare", tmp_path, "--metric", "hosts.empty_mean")
    assert ran.code == 0, ran.err
    assert "8 of 12 cells are done, 4 are missing: this is a partial result" in ran.out
    (tmp_path / "cells.jsonl").write_bytes(b"")
    ran = sundog("compare", tmp_path)
    assert (ran.code, "has no finished cells yet" in ran.err) == (2, True)


def test_runs_are_compared_with_each_other(sundog: Command, tmp_path: Path) -> None:
    scenario, folders = small(tmp_path), []
    for policy in ("best-fit", "worst-fit"):
        for seed in (1, 2, 3):
            folders.append(tmp_path / f"{policy}-{seed}")
            ran = sundog("run", scenario, "--set", f"policy={policy}", "--seed", seed, "--out", folders[-1])
            assert ran.code == 0
    told = sundog("compare", *folders, "--out", tmp_path / "cmp", "--json").json
    assert told["varied"] == {"policy": ["best-fit", "worst-fit"]}
    assert {each["seeds"] for each in told["metrics"]["hosts.empty_mean"]["estimates"]} == {3}
    alike = sundog("compare", *folders[:2], "--out", tmp_path / "cmp", "--json").json
    assert alike["varied"] == {"folder": [str(each) for each in folders[:2]]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere: is not a folder"),
        (["."], "is not the folder of a sweep: it has no sweep.yaml"),
        ([".", "nowhere"], "summary.json: is not the summary of a run"),
        (["SWEPT", "--metric", "hosts.emty_mean"], "did you mean hosts.empty_mean"),
        (["SWEPT", "--baseline", "policy"], "--baseline policy: write key=value"),
        (["SWEPT", "--baseline", "policy=random"], "there is no such value; the values are best-fit, worst-fit"),
        (["SWEPT", "--pareto", "hosts.empty_mean"], "name two metrics, parted by a comma"),
        (["SWEPT", "--pareto", "hosts.empty_mean,x"], "--metric x: no figure of these results is called so"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    sundog: Command, swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = sundog("compare", *(str(swept) if each == "SWEPT" else each for each in arguments), "--out", "cmp")
    assert ran.code == 2
    assert said in ran.err
    assert not (tmp_path / "cmp").exists()
