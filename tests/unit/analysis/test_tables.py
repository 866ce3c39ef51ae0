from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sundog.analysis import Results
from sundog.analysis.tables import _rows_of, _Table, first_rows
from sundog.errors import InputError
from tests.unit.analysis.folders import make_stay, make_vm, write_result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_result(
        tmp_path / "run",
        vms=[make_vm(1, 0.0, end_s=50.0), make_vm(7, 5.0, "running")],
        stays=[make_stay(1, "h0", 0.0, 50.0), make_stay(7, "h1", 5.0, None)],
    )


def rewrite(path: Path, change) -> None:
    pq.write_table(change(pq.read_table(path)), path)


def replaced(table: pa.Table, name: str, values: list) -> pa.Table:
    return table.set_column(table.schema.names.index(name), name, pa.array(values))


def test_ids_with_gaps_are_joined_to_rows(folder):
    results = Results.load(folder)
    assert results.stays.vm.tolist() == [0, 1]
    assert results.stays.host.tolist() == [0, 1]
    assert results.stays.end_s.tolist() == [50.0, math.inf]
    assert results.resources == ("vcpus", "memory_mb")


def test_ids_that_are_text_are_joined_too(tmp_path):
    folder = write_result(tmp_path, vms=[make_vm("a-1", 0.0, "running")], stays=[make_stay("a-1", "h1", 0.0, None)])
    assert Results.load(folder).stays.vm.tolist() == [0]


def test_columns_of_categories_read_like_text(folder):
    rewrite(
        folder / "placements.parquet",
        lambda table: table.set_column(
            table.schema.names.index("host"), "host", table["host"].combine_chunks().dictionary_encode()
        ),
    )
    assert Results.load(folder).stays.host.tolist() == [0, 1]


def test_a_column_of_nothing_but_nulls_reads_as_nan(folder):
    rewrite(folder / "vms.parquet", lambda table: replaced(table, "boot_s", [None, None]))
    assert np.isnan(Results.load(folder).vms.boot_s).all()


def test_a_run_without_requests_loads(tmp_path):
    results = Results.load(write_result(tmp_path, vms=[], stays=[]))
    assert len(results.vms) == 0
    assert len(results.stays) == 0


def test_missing_events_leave_hosts_up_and_a_note(folder):
    (folder / "events.parquet").unlink()
    results = Results.load(folder)
    assert len(results.events) == 0
    assert "events.parquet is missing" in results.run.notes[-1]


@pytest.mark.parametrize("name", ["run.json", "vms.parquet", "placements.parquet", "hosts.parquet"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"{name}: is missing"):
        Results.load(folder)


@pytest.mark.parametrize("name", ["vms.parquet", "placements.parquet", "hosts.parquet", "events.parquet"])
def test_a_truncated_table_is_named(folder, name):
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=f"{name}: cannot be read as Parquet .* truncated"):
        Results.load(folder)


def test_truncated_json_is_named_with_line_and_column(folder):
    (folder / "run.json").write_text('{"name": "x",\n "seed": ')
    with pytest.raises(InputError, match=r"run\.json:2:10: is not valid JSON") as caught:
        Results.load(folder)
    assert (caught.value.line, caught.value.column) == (2, 10)


def test_a_key_that_run_json_lacks_is_named(folder):
    run = json.loads((folder / "run.json").read_text())
    del run["horizon_s"]
    (folder / "run.json").write_text(json.dumps(run))
    with pytest.raises(InputError, match=r"run\.json: horizon_s: Field required"):
        Results.load(folder)


def test_a_resource_listed_twice_is_refused(folder):
    run = json.loads((folder / "run.json").read_text())
    run["resources"] += run["resources"][:1]
    (folder / "run.json").write_text(json.dumps(run))
    with pytest.raises(InputError, match="'vcpus' is listed twice"):
        Results.load(folder)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="is not a folder"):
        Results.load(tmp_path / "nowhere")


def test_a_missing_column_is_named_with_those_present(folder):
    rewrite(folder / "hosts.parquet", lambda table: table.drop_columns(["capacity_vcpus"]))
    with pytest.raises(InputError, match=r"hosts\.parquet: has no column 'capacity_vcpus' .*present: host, type"):
        Results.load(folder)


@pytest.mark.parametrize(
    ("name", "column", "values", "message"),
    [
        ("vms.parquet", "outcome", ["completed", "vanished"], "column 'outcome' holds 'vanished'; one of completed"),
        ("vms.parquet", "vm_id", [1, 1], "column 'vm_id': 1 appears more than once"),
        ("vms.parquet", "arrival_s", [0.0, math.nan], "column 'arrival_s', row 1: nan is not a finite number"),
        ("vms.parquet", "vcpus", ["4", "4"], "column 'vcpus' holds string, a number was expected"),
        ("vms.parquet", "vm_id", [1, None], "column 'vm_id' has 1 empty cells"),
        ("placements.parquet", "cause", ["arrival", "magic"], "column 'cause' holds 'magic'"),
        ("placements.parquet", "memory_mb", [256.0, -1.0], "column 'memory_mb', row 1: -1 is negative"),
        ("placements.parquet", "start_s", [0.0, None], "column 'start_s', row 1"),
        ("hosts.parquet", "host", ["h0", "h0"], "column 'host': 'h0' appears more than once"),
    ],
)
def test_a_wrong_value_is_named_with_its_file_and_column(folder, name, column, values, message):
    rewrite(folder / name, lambda table: replaced(table, column, values))
    with pytest.raises(InputError) as caught:
        Results.load(folder)
    assert f"{name}: {message}" in str(caught.value)


def test_an_event_of_an_unknown_host_is_refused(folder):
    pq.write_table(
        pa.table({"time_s": [1.0], "host": ["h9"], "event": ["failed"], "detail": [""]}), folder / "events.parquet"
    )
    with pytest.raises(InputError, match=r"names 'h9', which hosts\.parquet does not have"):
        Results.load(folder)


def test_codes_of_a_file_become_places_in_order_of_first_use_whatever_they_were(tmp_path):
    # Two row groups with dictionaries of their own, a name that is in one twice, one that is never used, and no name.
    parts = [
        pa.DictionaryArray.from_arrays(pa.array([3, 1, None, 2]), pa.array(["unused", "b", "a", "b"])),
        pa.DictionaryArray.from_arrays(pa.array([1, 0, 0]), pa.array(["c", "a"])),
    ]
    table = pa.table({"flavor": pa.chunked_array(parts)})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=4)
    coded = _Table(tmp_path / "t.parquet", ["flavor"]).names("flavor")
    assert coded.names == ("b", "", "a", "c")
    assert [coded[row] for row in range(7)] == ["b", "b", "", "a", "a", "c", "c"]


@given(st.lists(st.integers(-9, 9), unique=True), st.lists(st.integers(-10, 10)), st.booleans())
def test_ids_find_their_rows_in_any_order(known, wanted, ascending):
    known = sorted(known) if ascending else known
    rows = _rows_of(pa.array(wanted, pa.int64()), pa.array(known, pa.int64()))
    assert rows.tolist() == [known.index(each) if each in known else -1 for each in wanted]


@given(st.lists(st.integers(0, 5)))
def test_the_first_row_of_each_code(codes):
    expected = [codes.index(code) if code in codes else len(codes) for code in range(6)]
    assert first_rows(np.array(codes, dtype=np.int64), 6).tolist() == expected
