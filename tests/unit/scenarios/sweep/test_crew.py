"""Who plays which cell, and what becomes of a player that dies."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sundog.scenarios.schema import Loaded
from sundog.scenarios.sweep.crew import Processes, conduct
from sundog.scenarios.sweep.plan import Cell, plan_sweep
from sundog.scenarios.sweep.play import Played
from tests.unit.scenarios.files import SMALL, small, write
from tests.unit.scenarios.sweep.test_play import nothing_measured

DYING = """\
import os, signal

class Dying:
    def choose(self, request, hosts):
        os.kill(os.getpid(), signal.SIGKILL)


class Leaving:
    def choose(self, request, hosts):
        raise SystemExit(7)
"""


class Lockstep:
    """A crew that plays in this process: the player that ``whose_turn`` names is the next to be done."""

    def __init__(self, size: int, whose_turn: list[int]) -> None:
        self.size = size
        self.closed = False
        self.played: list[tuple[int, Loaded]] = []
        self._at_work: dict[int, Loaded] = {}
        self._turns = whose_turn

    def give(self, player: int, loaded: Loaded) -> None:
        assert player not in self._at_work, "it is busy"
        self._at_work[player] = loaded

    def finished(self) -> list[tuple[int, Played]]:
        players = sorted(self._at_work)
        player = players[self._turns.pop() % len(players) if self._turns else 0]
        self.played.append((player, self._at_work.pop(player)))
        return [(player, Played(figures={"seed": (self.played[-1][1].scenario.seed, "")}))]

    def close(self) -> None:
        self.closed = True


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Cell]:
    path = write(tmp_path_factory.mktemp("crew") / "small.yaml", SMALL)
    return list(plan_sweep(path, ["policy=best-fit,random,first-fit"], replicates=4).cells)


@given(size=st.integers(1, 20), whose_turn=st.lists(st.integers(0, 19), max_size=20))
def test_every_cell_is_played_once_whoever_is_faster(cells: list[Cell], size: int, whose_turn: list[int]) -> None:
    crew = Lockstep(size, whose_turn)
    done = list(conduct(cells, crew))
    assert Counter(cell.key for cell, _ in done) == Counter(cell.key for cell in cells)
    assert all(played.figures["seed"] == (cell.seed, "") for cell, played in done)
    assert crew.closed


def test_cells_with_the_same_requests_go_to_one_player(cells: list[Cell]) -> None:
    crew = Lockstep(2, [0, 1] * 6)
    list(conduct(cells, crew))
    by_seed: dict[int, set[int]] = {}
    for player, loaded in crew.played:
        by_seed.setdefault(loaded.scenario.seed, set()).add(player)
    assert len(by_seed) == 4
    assert all(len(players) == 1 for players in by_seed.values())


def test_an_idle_player_helps_with_what_another_has_begun(cells: list[Cell]) -> None:
    of_one_seed = [cell for cell in cells if cell.replicate == 0]
    crew = Lockstep(3, [])
    list(conduct(of_one_seed, crew))
    assert {player for player, _ in crew.played} == {0, 1, 2} or len(crew.played) == 3
    assert [player for player, _ in crew.played] == [0, 1, 2]


def test_the_crew_is_closed_when_nobody_wants_more(cells: list[Cell]) -> None:
    crew = Lockstep(2, [])
    playing = conduct(cells, crew)
    next(playing)
    playing.close()
    assert crew.closed


@pytest.mark.slow
def test_a_process_that_dies_fails_its_cell_and_another_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "dying_in_sweep.py", DYING)
    varied = ["policy=dying_in_sweep:Dying,dying_in_sweep:Leaving,first-fit"]
    plan = plan_sweep(small(tmp_path), varied, replicates=1)
    told = {
        cell.combination.labels["policy"]: played
        for cell, played in conduct(plan.cells, Processes(1, nothing_measured))
    }
    assert told["dying_in_sweep:Dying"].error.startswith("the process that played it was ended by SIGKILL")
    assert told["dying_in_sweep:Leaving"].error == "the process that played it ended by itself with exit code 7"
    assert told["first-fit"].error == ""
    assert told["first-fit"].where.startswith("process ")
