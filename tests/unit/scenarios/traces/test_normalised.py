from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sundog.errors import InputError, OutputError
from sundog.runtime.seeds import Streams
from sundog.scenarios.traces import Trace, read_trace, write_normalised

HEAD = "vm_id,arrival_s,lifetime_s,vcpus,memory_mb"


def test_csv_gives_the_rows_as_they_are(write, read):
    path = write(
        "t.csv",
        """vm_id,arrival_s,lifetime_s,vcpus,memory_mb,disk_gb,gpus,gpu_share,gpu_models,flavor,group,group_policy,priority
        a,-5,10.5,0.5,512,20,1,0.25,T4|V100M16,small,g1,anti-affinity,1
        b,0,,4,8192,,,,,,,,
        c,0,0,1,1.5,0,2,1,,big,g1,soft-affinity,0""",
    )
    vms = read("normalised", path).vms
    assert vms["vm_id"].tolist() == ["a", "b", "c"]
    assert vms["arrival_s"].tolist() == [-5.0, 0.0, 0.0]
    np.testing.assert_array_equal(vms["lifetime_s"], [10.5, np.nan, 0.0])
    assert vms["vcpus"].tolist() == [0.5, 4.0, 1.0]
    assert vms["memory_mb"].tolist() == [512.0, 8192.0, 1.5]
    assert vms["disk_gb"].tolist() == [20.0, 0.0, 0.0]
    assert vms["gpus"].tolist() == [1.0, 0.0, 2.0]
    assert vms["gpu_share"].tolist() == [0.25, 1.0, 1.0]
    assert vms["gpu_models"].tolist() == ["T4|V100M16", pd.NA, pd.NA]
    assert vms["group"].tolist() == ["g1", pd.NA, "g1"]
    assert vms["group_policy"].tolist() == ["anti-affinity", pd.NA, "soft-affinity"]
    assert vms["priority"].tolist() == [1, 0, 0]


def test_whole_number_ids_are_numbers_and_others_stay_text(write, read):
    numbers = read("normalised", write("n.csv", f"{HEAD}\n7,0,1,1,1\n-3,0,1,1,1")).vms["vm_id"]
    assert numbers.dtype == np.int64
    assert numbers.tolist() == [7, -3]
    assert read("normalised", write("t.csv", f"{HEAD}\n7,0,1,1,1\n007,0,1,1,1")).vms["vm_id"].tolist() == ["7", "007"]


def test_a_parquet_null_outlives_and_a_parquet_nan_is_refused(tmp_path, read, refusal):
    columns = {"vm_id": [1, 2], "arrival_s": [0, 1], "vcpus": [1.0, 2.0], "memory_mb": [1, 1]}
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({**columns, "lifetime_s": pa.array([None, 3.0])}), path)
    np.testing.assert_array_equal(read("normalised", path).vms["lifetime_s"], [np.nan, 3.0])
    pq.write_table(pa.table({**columns, "lifetime_s": pa.array([3.0, float("nan")])}), path)
    assert refusal("normalised", path).startswith(f"{path}: row 2: lifetime_s is NaN; leave a cell empty (null)")


def test_unknown_columns_are_left_out_with_a_note(write, read):
    trace = read("normalised", write("t.csv", f"{HEAD},flavour\n1,0,1,1,1,x"))
    assert "flavour" not in trace.vms
    assert trace.notes == ("column flavour is not one that Sundog knows and was left out; did you mean 'flavor'?",)


def test_equal_arrivals_keep_the_order_of_the_file(write, read):
    path = write("t.csv", f"{HEAD}\n9,1,1,1,1\n3,1,1,1,1\n5,1,1,1,1")
    assert read("normalised", path).vms["vm_id"].tolist() == [9, 3, 5]


@pytest.mark.parametrize(
    ("row", "line", "message"),
    [
        ("2,1,NaN,1,1", 3, "lifetime_s is NaN"),
        ("2,1,nan,1,1", 3, "lifetime_s is NaN"),
        ("2,NaN,1,1,1", 3, "arrival_s is NaN"),
        ("2,1,inf,1,1", 3, "lifetime_s is inf"),
        ("2,1,-4,1,1", 3, "the VM ends before it starts: lifetime_s is -4"),
        ("2,1,1,0,1", 3, "vcpus is 0; it must be above 0"),
        ("2,1,1,-2,1", 3, "vcpus is -2; it must be above 0"),
        ("2,1,1,1,0", 3, "memory_mb is 0; it must be above 0"),
        ("2,1,1,1,", 3, "memory_mb is empty"),
        ("2,,1,1,1", 3, "arrival_s is empty"),
        ("2,1,1,two,1", 3, "vcpus is 'two'; a number is expected"),
        ("2,-1,1,1,1", 3, "arrival_s goes back from 0 to -1"),
        ("1,1,1,1,1", 3, "vm_id 1 comes a second time"),
        (",1,1,1,1", 3, "vm_id is empty"),
        ("2,1,1", 3, "3 fields where 5 are expected"),
        ("2,1,1,1,1,1", 3, "6 fields where 5 are expected"),
        ('2,1,1,1,"1', 3, "memory_mb"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(write, refusal, row, line, message):
    path = write("t.csv", f"{HEAD}\n1,0,1,1,1\n{row}\n3,5,1,1,1")
    text = refusal("normalised", path)
    assert text.startswith(f"{path}:{line}: ")
    assert message in text


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("gpu_share", "1.5", "gpu_share is 1.5; it must be at most 1"),
        ("gpus", "-1", "gpus is -1; it must be at least 0"),
        ("group_policy", "affinityx", "did you mean 'affinity'?"),
        ("priority", "0.5", "priority is 0.5; a whole number"),
        ("disk_gb", "-1", "disk_gb is -1"),
    ],
)
def test_a_bad_optional_value_is_named_by_file_and_line(write, refusal, column, value, message):
    path = write("t.csv", f"{HEAD},{column}\n1,0,1,1,1,{value}")
    text = refusal("normalised", path)
    assert text.startswith(f"{path}:2: ")
    assert message in text


def test_missing_columns_are_named_with_those_found(write, refusal):
    path = write("t.csv", "vm_id,arrival_s,lifetime_s,vcpu,memory_mb\n1,0,1,1,1")
    assert refusal("normalised", path) == (
        f"{path}:1: missing column vcpus; did you mean 'vcpu'? found vm_id, arrival_s, lifetime_s, vcpu, memory_mb"
    )


def test_a_column_that_is_there_twice_is_refused(write, refusal):
    assert "column 'vm_id' is there twice" in refusal("normalised", write("t.csv", f"{HEAD},vm_id\n1,0,1,1,1,1"))


def test_files_without_vms_are_refused(tmp_path, write, refusal):
    (tmp_path / "empty.csv").touch()
    assert "the file is empty" in refusal("normalised", tmp_path / "empty.csv")
    assert "not one row" in refusal("normalised", write("head.csv", HEAD))
    assert "no such file" in refusal("normalised", tmp_path / "absent.csv")
    assert "this is a folder" in refusal("normalised", tmp_path)


def test_a_cut_parquet_file_is_refused(tmp_path, refusal):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"vm_id": list(range(1000))}), path)
    path.write_bytes(path.read_bytes()[:-100])
    assert "not a whole Parquet file" in refusal("normalised", path)


def test_parquet_text_where_numbers_belong_is_refused(tmp_path, refusal):
    path = tmp_path / "t.parquet"
    row = {"vm_id": [1], "arrival_s": [0], "lifetime_s": [1], "vcpus": ["2"], "memory_mb": [1]}
    pq.write_table(pa.table(row), path)
    assert refusal("normalised", path) == f"{path}: column vcpus holds text (string); numbers are expected"


def test_binary_and_wrongly_coded_files_are_refused(tmp_path, refusal):
    path = tmp_path / "t.csv"
    path.write_bytes(f"{HEAD},flavor\n1,0,1,1,1,na".encode() + b"\xefve\n")
    assert "UTF8" in refusal("normalised", path)
    path.write_bytes(b"\0\1\2\3" * 20)
    assert "does not name columns" in refusal("normalised", path)


def test_blank_lines_at_the_end_are_no_rows_and_one_in_the_middle_is_named(tmp_path, read, refusal):
    path = tmp_path / "t.csv"
    path.write_text(f"{HEAD}\n1,0,1,1,1\n\n\n")
    assert len(read("normalised", path).vms) == 1
    path.write_text(f"{HEAD}\n1,0,1,1,1\n\n2,0,1,1,1\n")
    assert refusal("normalised", path).startswith(f"{path}:3: ")


def test_a_text_file_whose_last_line_does_not_end_is_noted(tmp_path, read):
    path = tmp_path / "t.csv"
    path.write_text(f"{HEAD}\n1,0,1,1,16")
    assert "no line end" in read("normalised", path).notes[-1]


def make_trace(**columns):
    base = {"vm_id": [1], "arrival_s": [0.0], "lifetime_s": [1.0], "vcpus": [1.0], "memory_mb": [1.0]}
    return Trace(pd.DataFrame({**base, **columns}))


def test_an_existing_file_is_kept_unless_forced(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        write_normalised(make_trace(), path)
    assert path.read_text() == "mine"
    write_normalised(make_trace(), path, force=True)
    assert path.read_text().splitlines()[1] == "1,0,1,1,1"
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.csv"]


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_normalised(make_trace(), tmp_path / "absent" / "t.parquet")
    with pytest.raises(InputError, match="line break"):
        write_normalised(make_trace(flavor=["a\nb"]), tmp_path / "t.csv")
    with pytest.raises(InputError, match=r"name the file \.parquet or \.csv"):
        write_normalised(make_trace(), tmp_path / "t.json")
    assert list(tmp_path.iterdir()) == []


finite = st.floats(-1e12, 1e12, allow_nan=False)
above = st.floats(1e-6, 1e12, allow_nan=False)
words = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=8)


def optional(strategy):
    return st.none() | strategy


@st.composite
def traces(draw):
    n = draw(st.integers(1, 8))

    def column(strategy):
        return draw(st.lists(strategy, min_size=n, max_size=n))

    text = pd.StringDtype()
    names = draw(st.lists(words.map("v".__add__), min_size=n, max_size=n, unique=True))
    columns = {
        "vm_id": draw(st.just(pd.array(names, text)) | st.permutations(range(-3, n - 3)).map(np.array)),
        "arrival_s": np.sort(column(finite)),
        "lifetime_s": np.array(column(optional(st.floats(0, 1e12))), dtype=float),
        "vcpus": np.array(column(above)),
        "memory_mb": np.array(column(above)),
        "disk_gb": np.array(column(st.floats(0, 1e9))),
        "gpus": np.array(column(st.floats(0, 16))),
        "gpu_share": np.array(column(st.floats(0, 1))),
        "flavor": pd.array(column(optional(words)), text),
        "group": pd.array(column(optional(words.map("g".__add__))), text),
        "group_policy": pd.array(column(st.sampled_from([None, "affinity", "soft-anti-affinity"])), text),
        "priority": np.array(column(st.integers(-5, 5)), dtype=np.int64),
    }
    optional_names = [name for name in columns if name not in HEAD.split(",")]
    left_out = draw(st.sets(st.sampled_from(optional_names)))
    return Trace(pd.DataFrame({name: values for name, values in columns.items() if name not in left_out}))


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trace=traces())
def test_what_is_written_reads_back_equal(tmp_path, ending, trace):
    path = tmp_path / f"t.{ending}"
    write_normalised(trace, path, force=True)
    again = read_trace("normalised", path, streams=Streams(1))
    pd.testing.assert_frame_equal(again.vms, trace.vms)
    assert again.notes == ()


def test_numbered_groups_read_back_as_numbers(tmp_path, read):
    trace = make_trace(group=pd.array([5], pd.Int64Dtype()))
    for ending in ("csv", "parquet"):
        write_normalised(trace, tmp_path / f"t.{ending}")
        assert read("normalised", tmp_path / f"t.{ending}").vms["group"].tolist() == [5]


def test_parquet_ids_may_be_whole_floats_and_not_fractions(tmp_path, read, refusal):
    path = tmp_path / "t.parquet"
    columns = {"arrival_s": [0, 1], "lifetime_s": [1, 1], "vcpus": [1, 1], "memory_mb": [1, 1]}
    pq.write_table(pa.table({"vm_id": [1.0, 2.0], "group": pa.array([3.0, None]), **columns}), path)
    vms = read("normalised", path).vms
    assert vms["vm_id"].tolist() == [1, 2]
    assert vms["group"].tolist() == [3, pd.NA]
    pq.write_table(pa.table({"vm_id": [1.0, 2.5], **columns}), path)
    assert "row 2: vm_id is 2.5; an id is whole or text" in refusal("normalised", path)


def test_a_csv_column_that_is_empty_throughout_is_missing_throughout(write, read):
    vms = read("normalised", write("t.csv", f"{HEAD},group,flavor,gpus\n1,0,,1,1,,,\n2,0,,1,1,,,")).vms
    assert vms[["lifetime_s", "group", "flavor"]].isna().all(axis=None)
    assert vms["gpus"].tolist() == [0.0, 0.0]
