"""The result folder: its tables to the last cell, the lock that repeats the run, and that it is whole or not there."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from sundog.core.pool import Pool
from sundog.errors import OutputError
from sundog.scenarios.folder import RUN_FILE, new_folder
from sundog.scenarios.load import load_scenario
from sundog.scenarios.lock import changed_files
from sundog.scenarios.run import run_study
from tests.disks import small_disk
from tests.unit.scenarios.files import BY_HAND, VMS, by_hand, small, study_of, write

TABLES = ("vms.parquet", "placements.parquet", "hosts.parquet", "events.parquet")


def rows_of(folder: Path, name: str) -> list[tuple[Any, ...]]:
    """The rows of a table with None where a cell is null."""
    table = pq.read_table(folder / f"{name}.parquet")
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def columns_of(folder: Path, name: str) -> dict[str, str]:
    short = {"dictionary<values=string, indices=int32, ordered=0>": "coded", "large_string": "string"}
    schema = pq.read_schema(folder / f"{name}.parquet")
    return {field.name: short.get(str(field.type), str(field.type)) for field in schema}


@pytest.fixture(scope="module")
def hand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the scenario that was worked out by hand."""
    folder = tmp_path_factory.mktemp("hand")
    return run_study(study_of(by_hand(folder)), folder / "out")


# ---------------------------------------------------------------- tables


def test_vms_have_one_row_each_in_arrival_order(hand: Path) -> None:
    assert columns_of(hand, "vms") == {
        "vm_id": "string", "arrival_s": "double", "lifetime_s": "double", "vcpus": "double", "memory_mb": "double",
        "flavor": "coded", "outcome": "coded", "reason": "coded", "start_s": "double", "end_s": "double",
        "boot_s": "double", "evacuations": "int32", "migrations": "int32", "downtime_s": "double",
    }  # fmt: skip
    assert rows_of(hand, "vms") == [
        ("a", 0, 100, 4, 4096, "small", "completed", "", 0, 100, None, 0, 0, 0),
        ("b", 10, 50, 4, 4096, "small", "completed", "", 10, 60, None, 0, 0, 0),
        ("c", 20, None, 8, 8192, "big", "running", "", 20, None, None, 0, 0, 0),
        ("d", 30, 10, 64, 1024, "huge", "rejected", "too large for any host", None, None, None, 0, 0, 0),
        ("e", 40, 10, 4, 4096, "small", "completed", "", 40, 50, None, 0, 0, 0),
        ("f", 45, 10, 8, 1024, "wide", "rejected", "no room: VCPU", None, None, None, 0, 0, 0),
    ]


def test_placements_have_one_row_a_stay_with_null_for_an_end_that_did_not_come(hand: Path) -> None:
    assert columns_of(hand, "placements") == {
        "vm_id": "string", "host": "coded", "start_s": "double", "end_s": "double", "cause": "coded",
        "vcpus": "double", "memory_mb": "double",
    }  # fmt: skip
    assert rows_of(hand, "placements") == [
        ("a", "n-0", 0, 100, "arrival", 4, 4096),
        ("b", "n-0", 10, 60, "arrival", 4, 4096),
        ("c", "n-1", 20, None, "arrival", 8, 8192),
        ("e", "n-0", 40, 50, "arrival", 4, 4096),
    ]


def test_hosts_have_their_sizes_and_their_capacity_after_reserve_and_overcommit(hand: Path) -> None:
    assert columns_of(hand, "hosts") == {
        "host": "string", "type": "string", "zone": "string", "rack": "string", "added_s": "double",
        "vcpus": "double", "capacity_vcpus": "double", "memory_mb": "double", "capacity_memory_mb": "double",
    }  # fmt: skip
    assert rows_of(hand, "hosts") == [
        ("n-0", "n", "az1", "az1-r0", 0, 8, 12, 16384, 15360),
        ("n-1", "n", "az1", "az1-r1", 0, 8, 12, 16384, 15360),
    ]


def test_events_tell_what_happened_to_hosts(hand: Path) -> None:
    assert columns_of(hand, "events") == {"time_s": "double", "host": "coded", "event": "string", "detail": "string"}
    assert rows_of(hand, "events") == [(0, "n-0", "added", ""), (0, "n-1", "added", "")]


def test_whole_numbers_as_ids_stay_whole_numbers(tmp_path: Path) -> None:
    vms = VMS
    for number, letter in enumerate("abcdef"):
        vms = vms.replace(f"\n{letter},", f"\n{number + 7},")
    folder = run_study(study_of(by_hand(tmp_path, vms=vms)), tmp_path / "out")
    assert columns_of(folder, "vms")["vm_id"] == columns_of(folder, "placements")["vm_id"] == "int64"
    assert [row[0] for row in rows_of(folder, "placements")] == [7, 8, 9, 11]


def test_capacities_are_those_that_the_pool_keeps_to(tmp_path: Path) -> None:
    node = "{name: n, vcpus: 7.5, memory: 10 GiB, disk: 0.3 TiB, gpus: 2, resources: {CUSTOM_NIC: 2.5}, "
    node += "reserved: {vcpus: 0.2, memory: 333 MiB, disk: 7 GiB}}"
    hand = BY_HAND.replace("{name: n, vcpus: 8, memory: 16 GiB, reserved: {memory: 1 GiB}}", node)
    hand = hand.replace("{vcpus: 1.5}", "{vcpus: 1.1, memory: 0.9, disk: 1.7}")
    study = study_of(write(by_hand(tmp_path), hand))
    folder = run_study(study, tmp_path / "out")
    pool = Pool(study.workload.classes)
    row = study.fleet.enter(pool, 0)[0]
    host = pd.read_parquet(folder / "hosts.parquet").iloc[0]
    for resource_ in study.workload.resources:
        rows = pool.tree(row)[1:] if resource_.name == "gpus" else [row]
        column = pool.classes.column(resource_.resource_class)
        units = int(pool.capacity[column, rows].sum())
        assert host[f"capacity_{resource_.name}"] == pool.classes[resource_.resource_class].value(units)
    assert host[["vcpus", "disk_gb", "gpus", "capacity_gpus", "nic"]].tolist() == [7.5, pytest.approx(307.2), 2, 2, 2.5]


def test_columns_that_a_trace_brings_are_carried_along(tmp_path: Path) -> None:
    lines = VMS.splitlines()
    more = [f"{lines[0]},project_id,priority,disk_gb", *(f"{line},p{i},{i},0" for i, line in enumerate(lines[1:]))]
    folder = run_study(study_of(by_hand(tmp_path, vms="\n".join(more) + "\n")), tmp_path / "out")
    vms = pd.read_parquet(folder / "vms.parquet")
    assert vms["project_id"].tolist() == ["p0", "p1", "p2", "p3", "p4", "p5"]
    assert vms["priority"].tolist() == [0, 1, 2, 3, 4, 5]


# ---------------------------------------------------------------- the lock


def test_the_lock_has_all_that_the_run_was_made_with(tmp_path: Path) -> None:
    loaded = load_scenario(by_hand(tmp_path), ["fleet.0.count=3", "overcommit.memory=2"], seed=77)
    folder = run_study(study_of(by_hand(tmp_path), "fleet.0.count=3", "overcommit.memory=2", "seed=77"), tmp_path / "o")
    document = YAML(typ="safe").load(folder / "scenario.lock.yaml")
    lock = document.pop("lock")
    assert set(lock) == {"sundog", "python", "numpy", "files"}
    assert list(lock["files"]) == [str(tmp_path / "vms.csv")]
    assert document["workload"]["trace"].pop("path") == str(tmp_path / "vms.csv")
    expected = dict(loaded.document)
    del expected["workload"]["trace"]["path"]
    assert document == expected


@pytest.mark.parametrize("by_folder", [True, False], ids=["its folder", "its lock"])
def test_a_locked_run_is_repeated_byte_for_byte_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_folder: bool
) -> None:
    first = run_study(study_of(small(tmp_path), "seed=5", "fleet.0.count=3"), tmp_path / "first")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = run_study(study_of(first if by_folder else first / "scenario.lock.yaml"), Path("again"))
    for name in (*TABLES, RUN_FILE, "scenario.lock.yaml"):
        assert (again / name).read_bytes() == (first / name).read_bytes(), name


def test_a_trace_that_changed_since_the_run_is_noticed(tmp_path: Path) -> None:
    folder = run_study(study_of(by_hand(tmp_path)), tmp_path / "out")
    assert changed_files(load_scenario(folder)) == []
    by_hand(tmp_path, vms=VMS.replace("a,0", "a,1"))
    assert changed_files(load_scenario(folder)) == [str(tmp_path / "vms.csv")]
    (tmp_path / "vms.csv").unlink()
    assert changed_files(load_scenario(folder)) == [str(tmp_path / "vms.csv")]


def test_another_seed_gives_another_run(tmp_path: Path) -> None:
    one = run_study(study_of(small(tmp_path)), tmp_path / "one")
    other = run_study(study_of(small(tmp_path), "seed=2"), tmp_path / "other")
    assert rows_of(one, "vms") != rows_of(other, "vms")


# ---------------------------------------------------------------- whole or not there


def fill(out: Path, *, force: bool = False, content: str = "{}") -> None:
    with new_folder(out, force=force) as folder:
        (folder / RUN_FILE).write_text(content)


def left_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_a_folder_appears_whole_with_those_above_it(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b" / "out"
    with new_folder(out) as folder:
        assert not out.exists()
        (folder / RUN_FILE).write_text("{}")
    assert left_in(out) == [RUN_FILE]
    assert left_in(out.parent) == ["out"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_block_that_fails_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def fail() -> None:
        with new_folder(tmp_path / "out") as folder:
            (folder / "vms.parquet").write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert left_in(tmp_path) == []


def test_results_that_exist_are_refused_and_kept(tmp_path: Path) -> None:
    fill(tmp_path / "out", content="first")
    with pytest.raises(OutputError, match=r"out exists; .* --force"):
        fill(tmp_path / "out")
    assert (tmp_path / "out" / RUN_FILE).read_text() == "first"


def test_force_replaces_results_and_only_when_the_new_ones_are_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    fill(out, content="first")
    (out / "report.html").write_text("old")
    with pytest.raises(RuntimeError), new_folder(out, force=True):
        raise RuntimeError
    assert left_in(out) == ["report.html", RUN_FILE]
    fill(out, force=True, content="second")
    assert left_in(out) == [RUN_FILE]
    assert (out / RUN_FILE).read_text() == "second"
    assert left_in(tmp_path) == ["out"]


def test_force_replaces_nothing_but_results(tmp_path: Path) -> None:
    thesis = tmp_path / "thesis"
    write(thesis / "chapter.tex", "years of work")
    write(tmp_path / "file", "text")
    for out in (thesis, tmp_path / "file"):
        with pytest.raises(OutputError, match=r"is not a result folder .* so --force does not replace it"):
            fill(out, force=True)
    assert (thesis / "chapter.tex").read_text() == "years of work"
    assert (tmp_path / "file").read_text() == "text"


def test_an_empty_folder_is_used_and_a_link_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    fill(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert left_in(tmp_path / "empty") == [RUN_FILE]
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    fill(Path())
    assert left_in(tmp_path / "here") == [RUN_FILE]


def test_what_a_killed_run_left_behind_is_cleared_away(tmp_path: Path) -> None:
    write(tmp_path / ".out.partial" / "figures" / "x.png", "half")
    write(tmp_path / ".out.old" / RUN_FILE, "{}")
    fill(tmp_path / "out")
    assert left_in(tmp_path) == ["out"]
    assert left_in(tmp_path / "out") == [RUN_FILE]


def test_two_runs_cannot_write_one_folder_at_once(tmp_path: Path) -> None:
    with new_folder(tmp_path / "out") as folder:
        (folder / RUN_FILE).write_text("first")
        with pytest.raises(OutputError, match="another run is writing to"):
            fill(tmp_path / "out")
    assert (tmp_path / "out" / RUN_FILE).read_text() == "first"


def test_results_that_another_run_wrote_meanwhile_are_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write the results"), new_folder(tmp_path / "out"):
        write(tmp_path / "out" / RUN_FILE, "the other's")
    assert (tmp_path / "out" / RUN_FILE).read_text() == "the other's"
    assert left_in(tmp_path) == ["out"]


def test_a_place_that_cannot_be_written_is_refused_before_the_run(tmp_path: Path) -> None:
    write(tmp_path / "file", "text")
    with pytest.raises(OutputError, match=r"cannot write the results to .*: (Not a directory|File exists)"):
        fill(tmp_path / "file" / "out")
    with pytest.raises(OutputError, match=r"cannot write the results to .*: No such file"):
        fill(Path("/proc/sundog/out"))


@contextmanager
def unprivileged() -> Iterator[None]:
    """As another user for a while, where the tests run as root: root may write anywhere."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    for each in (tmp_path, *tmp_path.parents[:2]):
        each.chmod(0o755)
    locked.chmod(0o555)
    with unprivileged(), pytest.raises(OutputError, match=r"cannot write the results to .*: Permission denied"):
        fill(locked / "out")
    assert left_in(locked) == []


# ---------------------------------------------------------------- disk full


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """No file may grow beyond ``size`` bytes: the nearest to a full disk that needs no privilege."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 500, 2500])
def test_a_table_that_cannot_be_written_to_its_end_leaves_nothing(tmp_path: Path, size: int) -> None:
    study = study_of(small(tmp_path))
    before = left_in(tmp_path)
    with file_limit(size), pytest.raises(OutputError, match=r"cannot write the results to .*out"):
        run_study(study, tmp_path / "out")
    assert left_in(tmp_path) == before


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    with small_disk(tmp_path / "disk", "64k") as place:
        yield place


@pytest.mark.parametrize("free_kib", [0, 8, 16, 40])
def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, tiny_disk: Path, free_kib: int) -> None:
    study = study_of(small(tmp_path, ("arrivals_per_day: 200", "arrivals_per_day: 4000")))
    fill(tiny_disk / "before", content="results that were there")
    (tiny_disk / "ballast").write_bytes(bytes(shutil.disk_usage(tiny_disk).free - free_kib * 1024))
    before = left_in(tiny_disk)
    with pytest.raises(OutputError, match=r"cannot write the results to .*out: the disk is full; choose another place"):
        run_study(study, tiny_disk / "out")
    assert left_in(tiny_disk) == before
    with pytest.raises(OutputError, match="the disk is full"):
        run_study(study, tiny_disk / "before", force=True)
    assert (tiny_disk / "before" / RUN_FILE).read_text() == "results that were there"


def test_a_disk_that_fills_up_during_the_analysis_leaves_nothing(tmp_path: Path) -> None:
    def finish(folder: Path) -> None:
        assert (folder / "vms.parquet").is_file()
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as exc:
            raise OutputError(f"{folder / 'report.html'}: cannot be written") from exc

    study = study_of(by_hand(tmp_path))
    before = left_in(tmp_path)
    with pytest.raises(OutputError, match=r"cannot write the results to .*out: the disk is full"):
        run_study(study, tmp_path / "out", finish=finish)
    assert left_in(tmp_path) == before


def test_the_lock_on_a_folder_ends_with_the_process_that_held_it(tmp_path: Path) -> None:
    # A killed process closes its files; so does this.
    (tmp_path / ".out.partial").mkdir()
    handle = os.open(tmp_path / ".out.partial", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(OutputError, match="another run is writing"):
        fill(tmp_path / "out")
    os.close(handle)
    fill(tmp_path / "out")


@pytest.mark.parametrize("failure", [ZeroDivisionError("a plot went wrong"), KeyboardInterrupt()])
def test_tables_are_kept_when_the_analysis_fails_for_another_reason_than_the_disk(
    tmp_path: Path, failure: BaseException
) -> None:
    def finish(folder: Path) -> None:
        raise failure

    with pytest.raises(type(failure)):
        run_study(study_of(by_hand(tmp_path)), tmp_path / "out", finish=finish)
    assert {*TABLES, RUN_FILE} <= {each.name for each in (tmp_path / "out").iterdir()}
