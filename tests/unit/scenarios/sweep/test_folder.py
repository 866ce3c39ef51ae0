"""The folder of a sweep: what a kill leaves, what goes on, what is refused, and the table of results."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sundog.errors import InputError, OutputError
from sundog.scenarios.sweep.folder import JOURNAL, RESULTS, opened, read_journal, read_sweep
from sundog.scenarios.sweep.plan import Plan, plan_sweep
from sundog.scenarios.sweep.play import Played
from tests.unit.scenarios.files import VMS, by_hand, small, write

DONE = Played(
    figures={"requests.total": (7, "VM"), "wait.mean": (0.1, "s"), "boot.p50": (None, "s")}, books_balance=True
)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_sweep(small(tmp_path), ["policy=best-fit,random", "fleet.0.count=4,6"], replicates=2)


def played(path: Path, plan: Plan, *numbers: int, result: Played = DONE) -> None:
    with opened(path, plan) as folder:
        for cell in [*plan.cells]:
            if cell in [[*plan.cells][number] for number in numbers]:
                folder.keep(cell, result)
        folder.write_results()


def refusal(path: Path, plan: Plan) -> str:
    with pytest.raises(OutputError) as caught, opened(path, plan):
        raise AssertionError("it was accepted")
    return caught.value.message


def test_a_sweep_goes_on_with_what_is_missing(tmp_path: Path, plan: Plan) -> None:
    out = tmp_path / "out"
    played(out, plan, 1, 4)
    with opened(out, plan) as folder:
        assert [cell.key for cell in folder.missing] == [
            cell.key for number, cell in enumerate(plan.cells) if number not in (1, 4)
        ]
        assert [row.played for row in folder.rows] == [DONE, DONE]


def test_failed_cells_are_played_again_and_the_last_word_counts(tmp_path: Path, plan: Plan) -> None:
    out = tmp_path / "out"
    played(out, plan, 0, result=Played(error="no luck", exit_code=3))
    with opened(out, plan) as folder:
        assert len(folder.missing) == len(plan)
        assert pd.read_parquet(out / RESULTS)["error"].tolist() == ["no luck"]
        folder.keep(folder.missing[0], DONE)
        assert len(folder.missing) == len(plan) - 1
    assert [row.played.error for row in read_journal(out)] == [""]


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_line_that_a_kill_tore_is_played_again(tmp_path: Path, plan: Plan, cut: int) -> None:
    out = tmp_path / "out"
    played(out, plan, 0, 1, 2)
    whole = (out / JOURNAL).read_bytes()
    (out / JOURNAL).write_bytes(whole[:-cut])
    assert len(read_sweep(out).table) == 2
    played(out, plan, 2)
    assert (out / JOURNAL).read_bytes() == whole


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path, plan: Plan) -> None:
    played(tmp_path / "out", plan, 0, 1)
    journal = tmp_path / "out" / JOURNAL
    journal.write_text("not JSON\n" + journal.read_text())
    with pytest.raises(InputError, match=r"cells.jsonl:1: is not a line of a sweep's journal"):
        read_sweep(tmp_path / "out")


def test_the_order_in_which_cells_were_done_does_not_matter(tmp_path: Path, plan: Plan) -> None:
    cells = [*plan.cells]
    for name, order in (("a", cells), ("b", cells[::-1]), ("c", [*cells[4:], *cells[:4]])):
        with opened(tmp_path / name, plan) as folder:
            for cell in order:
                folder.keep(cell, Played(figures={"x": (cell.seed % 97 / 7, "s")}, where=name))
            folder.write_results()
    for name in ("b", "c"):
        assert (tmp_path / name / RESULTS).read_bytes() == (tmp_path / "a" / RESULTS).read_bytes()
        assert (tmp_path / name / "results.csv").read_bytes() == (tmp_path / "a" / "results.csv").read_bytes()
        assert read_sweep(tmp_path / name).table == read_sweep(tmp_path / "a").table


def test_results_have_a_typed_column_for_every_key_and_figure(tmp_path: Path, plan: Plan) -> None:
    played(tmp_path / "out", plan, *range(8))
    table = pq.read_table(tmp_path / "out" / RESULTS)
    assert {field.name: field.type for field in table.schema} == {
        "policy": pa.string(), "fleet.0.count": pa.int64(), "replicate": pa.int64(), "seed": pa.int64(),
        "error": pa.string(), "books_balance": pa.bool_(), "requests.total": pa.int64(), "wait.mean": pa.float64(),
        "boot.p50": pa.float64(),
    }  # fmt: skip
    assert table.schema.field("wait.mean").metadata == {b"unit": b"s"}
    assert table.column("policy").to_pylist() == ["best-fit"] * 4 + ["random"] * 4
    assert table.column("fleet.0.count").to_pylist() == [4, 4, 6, 6] * 2
    assert table.column("seed").to_pylist() == [*plan.seeds] * 4
    assert table.column("boot.p50").null_count == 8
    assert pd.read_csv(tmp_path / "out" / "results.csv")["requests.total"].tolist() == [7] * 8


def test_values_of_several_kinds_are_text(tmp_path: Path) -> None:
    plan = plan_sweep(small(tmp_path), ["on_full=reject,{wait: 1 h}"], replicates=1)
    played(tmp_path / "out", plan, 0, 1)
    sweep = read_sweep(tmp_path / "out")
    assert sweep.table.column("on_full").to_pylist() == ["reject", "wait=1 h"]
    assert sweep.varied == {"on_full": ("reject", "wait=1 h")}


def test_more_seeds_go_on_and_fewer_are_refused(tmp_path: Path) -> None:
    path, out = small(tmp_path), tmp_path / "out"
    two, three = (plan_sweep(path, ["policy=best-fit,random"], replicates=n) for n in (2, 3))
    played(out, two, 0, 1, 2, 3)
    with opened(out, three) as folder:
        assert [(cell.combination.number, cell.replicate) for cell in folder.missing] == [(0, 2), (1, 2)]
    assert read_sweep(out).cells == 6
    assert refusal(out, two).startswith(f"{out} has another sweep: seeds was 3, now 2.")


@pytest.mark.parametrize(
    ("varied", "options", "seed0", "said"),
    [
        (["policy=best-fit,worst-fit"], [], None, "vary.policy.1 was random, now worst-fit"),
        (["policy=best-fit,random,first-fit"], [], None, "vary.policy.2 was nothing, now first-fit"),
        (["fleet.0.count=4,5"], [], None, "vary.policy.0 was best-fit, now nothing"),
        (["policy=best-fit,random"], ["horizon=3 h"], None, "horizon was 6 h, now 3 h"),
        (["policy=best-fit,random"], [], 9, "seed0 was 1, now 9"),
    ],
)
def test_another_sweep_is_refused_with_what_differs(
    tmp_path: Path, varied: list[str], options: list[str], seed0: int | None, said: str
) -> None:
    path, out = small(tmp_path), tmp_path / "out"
    played(out, plan_sweep(path, ["policy=best-fit,random"], replicates=1), 0)
    before = (out / JOURNAL).read_bytes()
    other = plan_sweep(path, varied, replicates=1, options=options, seed0=seed0)
    assert said in refusal(out, other)
    assert (out / JOURNAL).read_bytes() == before
    with opened(out, other, force=True) as folder:
        assert folder.rows == []
    assert (out / JOURNAL).read_bytes() == b""


def test_the_same_scenario_said_otherwise_is_the_same_sweep(tmp_path: Path) -> None:
    path, out = small(tmp_path), tmp_path / "out"
    played(out, plan_sweep(path, ["policy=random"], replicates=1), 0)
    with opened(out, plan_sweep(path, ["policy=random"], replicates=1, options=["horizon=6 h"])) as folder:
        assert folder.missing == []


def test_a_trace_that_has_changed_is_another_sweep(tmp_path: Path) -> None:
    path, out = by_hand(tmp_path), tmp_path / "out"
    played(out, plan_sweep(path, [], replicates=1), 0)
    by_hand(tmp_path, vms=VMS.replace("a,0,100", "a,0,90"))
    assert f"{tmp_path / 'vms.csv'} has changed" in refusal(out, plan_sweep(path, [], replicates=1))


def test_nothing_but_a_sweep_is_written_to_even_when_forced(tmp_path: Path, plan: Plan) -> None:
    write(tmp_path / "thesis" / "chapter.tex", "years of work")
    with (
        pytest.raises(OutputError, match="is not empty and not a sweep"),
        opened(tmp_path / "thesis", plan, force=True),
    ):
        pass
    assert [each.name for each in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]
    assert "is a file" in refusal(write(tmp_path / "file", ""), plan)
    assert "cannot write the sweep" in refusal(tmp_path / "file" / "below", plan)


def test_two_sweeps_do_not_write_to_one_folder(tmp_path: Path, plan: Plan) -> None:
    with opened(tmp_path / "out", plan):
        assert "another sweep is writing to" in refusal(tmp_path / "out", plan)
    played(tmp_path / "out", plan, 0)


@pytest.mark.parametrize("text", ["", "sweep: 2\nseeds: 1", "[", "just text"])
def test_a_sweep_file_that_somebody_edited_is_named(tmp_path: Path, plan: Plan, text: str) -> None:
    played(tmp_path / "out", plan, 0)
    write(tmp_path / "out" / "sweep.yaml", text)
    with pytest.raises(InputError, match=r"sweep\.yaml: is not what a sweep"):
        read_sweep(tmp_path / "out")
    with pytest.raises(InputError, match=r"sweep\.yaml: is not what a sweep"), opened(tmp_path / "out", plan):
        pass


def test_a_sweep_is_read_while_it_is_played(tmp_path: Path, plan: Plan) -> None:
    with opened(tmp_path / "out", plan) as folder:
        assert len(read_sweep(tmp_path / "out").table) == 0
        folder.keep(folder.missing[3], DONE)
        sweep = read_sweep(tmp_path / "out")
        assert (len(sweep.table), sweep.cells) == (1, 8)
        assert sweep.varied == {"policy": ("best-fit", "random"), "fleet.0.count": (4, 6)}
