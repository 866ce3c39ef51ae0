"""A cell is a run: the same figures as `sundog run` gives, the same requests and faults whatever else varies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sundog.analysis import analyse, measure
from sundog.runtime.seeds import Streams
from sundog.scenarios.kept import Kept
from sundog.scenarios.load import load_scenario
from sundog.scenarios.run import outcome, prepare, run_study
from sundog.scenarios.sweep.plan import plan_sweep
from sundog.scenarios.sweep.play import Player
from tests.unit.scenarios.files import by_hand, small, write

BROKEN = """\
class Broken:
    def choose(self, request, hosts):
        raise RuntimeError("no idea")
"""


def nothing_measured(facts: Mapping[str, Any], tables: Mapping[str, Any]) -> dict[str, Any]:
    return {"figures": {}, "conservation": {"holds": True}}


@pytest.mark.parametrize("changes", [(), (("outputs: {report: false}", "boot: {}"), ("mtbf: 1 d", "mtbf: 4 h"))])
def test_the_figures_of_a_cell_are_those_of_a_run(tmp_path: Path, changes: tuple[tuple[str, str], ...]) -> None:
    path = small(tmp_path, *changes)
    player = Player(measure)
    for cell in plan_sweep(path, ["policy=best-fit,random"], replicates=2).cells:
        played = player.play(cell.loaded)
        study = prepare(load_scenario(path, cell.combination.options, seed=cell.seed))
        summary = run_study(study, tmp_path / "out", force=True) and analyse(tmp_path / "out", report=False)
        assert played.error == ""
        assert played.books_balance is True
        assert json.loads(json.dumps(played.figures)) == {
            key: [each["value"], each["unit"]] for key, each in summary["figures"].items()
        }


def test_a_summary_measured_in_memory_is_the_one_that_a_folder_gives(tmp_path: Path) -> None:
    for path in (by_hand(tmp_path), small(tmp_path, ("outputs: {report: false}", "boot: {}"))):
        study = prepare(load_scenario(path))
        engine = study.engine()
        facts, tables = outcome(study, engine, engine.run())
        in_memory = measure(facts, {name: make() for name, make in tables.items()})
        assert in_memory == analyse(run_study(study, tmp_path / path.stem), report=False)


def test_the_same_seed_has_the_same_requests_and_faults_whatever_the_policy_or_fleet(tmp_path: Path) -> None:
    varied = ["policy=best-fit,random", "fleet.0.count=4,12"]
    requests: dict[int, list[pd.DataFrame]] = {}
    faults: dict[int, list[list[tuple[float, str, str]]]] = {}
    for cell in plan_sweep(small(tmp_path, ("mtbf: 1 d", "mtbf: 3 h")), varied, replicates=2).cells:
        study = prepare(cell.loaded)
        engine = study.engine()
        events = engine.run().host_events
        requests.setdefault(cell.seed, []).append(study.workload.frame)
        # Hosts of a larger fleet have longer numbers.
        names = [f"node-{int(study.fleet.names[host].rpartition('-')[2])}" for host in events.host]
        first_four = {f"node-{i}" for i in range(4)}
        told = [each for each in zip(events.time_s, names, events.event, strict=True) if each[1] in first_four]
        faults.setdefault(cell.seed, []).append(told)
    for seed, frames in requests.items():
        for frame in frames[1:]:
            pd.testing.assert_frame_equal(frame, frames[0])
        assert all(each == faults[seed][0] for each in faults[seed])
        assert {"failed", "repaired"} <= {event for _, _, event in faults[seed][0]}
    first, second = (frames[0] for frames in requests.values())
    assert not first.equals(second)


def test_what_cells_have_in_common_is_made_once_and_no_figure_depends_on_it(tmp_path: Path) -> None:
    path = small(tmp_path)
    varied = ["policy=best-fit,random", "fleet.0.count=4,6", "overcommit.vcpus=1,2"]
    cells = list(plan_sweep(path, varied, replicates=1).cells)
    together = Player(measure)
    assert [together.play(cell.loaded).figures for cell in cells] == [
        Player(measure).play(cell.loaded).figures for cell in cells
    ]
    kept = Kept()
    first, other_policy, *_ = (prepare(cell.loaded, kept) for cell in cells[::4])
    assert first.workload is other_policy.workload


def test_a_trace_is_read_once_for_all_seeds_unless_its_reader_asks_for_chance() -> None:
    kept, read = Kept(), []

    def plain(streams: Streams) -> str:
        read.append(streams.seed)
        return "the same for every seed"

    assert [kept.seeded("plain", seed, plain)[0] for seed in (1, 2, 1)] == ["the same for every seed"] * 3
    assert read == [1]
    read.clear()

    def sampled(streams: Streams) -> float:
        read.append(streams.seed)
        return float(streams.child("lifetimes").fresh("vm").random())

    drawn = [kept.seeded("sampled", seed, sampled) for seed in (1, 2, 1, 2)]
    assert read == [1, 2]
    assert drawn[0] == drawn[2]
    assert drawn[1] == drawn[3]
    assert drawn[0][0] != drawn[1][0]
    assert drawn[0][1] != drawn[1][1]
    assert drawn[0][0] == float(Streams(1).child("trace").child("lifetimes").fresh("vm").random())


def test_only_so_many_inputs_are_kept() -> None:
    kept, made = Kept(), []
    for key in "abcdea":
        kept.get(key, lambda key=key: made.append(key))  # type: ignore[misc]
    assert made == [*"abcdea"]


def test_a_cell_that_fails_says_why_and_the_player_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "broken_in_sweep.py", BROKEN)
    broken, fine = plan_sweep(small(tmp_path), ["policy=broken_in_sweep:Broken,first-fit"], replicates=1).cells
    player = Player(nothing_measured, where="here")
    played = player.play(broken.loaded)
    assert (played.exit_code, played.figures, played.where) == (3, {}, "here")
    assert "no idea" in played.error
    assert player.play(fine.loaded).error == ""


def test_an_error_of_ours_is_told_with_its_traceback(tmp_path: Path) -> None:
    def crash(facts: Mapping[str, Any], tables: Mapping[str, Any]) -> dict[str, Any]:
        raise ZeroDivisionError("by hand")

    (cell,) = plan_sweep(small(tmp_path), [], replicates=1).cells
    played = Player(crash).play(cell.loaded)
    assert played.exit_code == 1
    assert played.error.startswith("ZeroDivisionError: by hand\nTraceback")
