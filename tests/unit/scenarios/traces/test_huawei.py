from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


def rows(trace):
    return trace.vms.astype({"flavor": str}).values.tolist()


def test_completed_vms_are_read_from_csv_and_parquet_alike(write, read, tmp_path):
    csv = write("x-lt.csv", "vmid,cpu,mem,at,lt\n0,4,16,0.0,194.0\n1,1,1,2.0,0")
    parquet = tmp_path / "x.parquet"
    pq.write_table(
        pa.table({"vm_id": [0, 1], "vcpus": [4, 1], "mem_gb": [16, 1], "arrival_s": [0, 2], "lifetime_s": [194, 0]}),
        parquet,
    )
    expected = [[0, 0.0, 194.0, 4.0, 16384.0, "4U16G"], [1, 2.0, 0.0, 1.0, 1024.0, "1U1G"]]
    assert rows(read("huawei", csv)) == expected
    assert rows(read("huawei", parquet)) == expected
    assert "not for growth" in read("huawei", csv).notes[0]


def test_events_become_vms_and_one_without_deletion_outlives(write, read):
    path = write(
        "e.csv",
        """vmid,cpu,memory,time,type
        7,2,4,0.0,0
        3,1,2,5.0,0
        7,2,4,9.0,1
        4,8,16,9.0,0
        4,8,16,9.0,1""",
    )
    trace = read("huawei", path)
    assert trace.vms["vm_id"].tolist() == [7, 3, 4]
    assert trace.vms["arrival_s"].tolist() == [0.0, 5.0, 9.0]
    np.testing.assert_array_equal(trace.vms["lifetime_s"], [9.0, np.nan, 0.0])
    assert trace.vms["memory_mb"].tolist() == [4096.0, 2048.0, 16384.0]
    assert trace.vms["flavor"].tolist() == ["2U4G", "1U2G", "8U16G"]
    assert trace.notes[0] == "1 of 3 VMs have no deletion and outlive the trace"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,2,4,1,0", "VM 1 is created a second time"),
        ("9,2,4,1,1", "VM 9 is deleted and was never created"),
        ("2,2,4,1,1", "VM 2 ends before it starts"),
        ("8,2,4,1,2", "type is 2; expected 0 (creation) or 1 (deletion)"),
        ("8,2,4,-1,0", "time goes back from 0 to -1"),
        ("8,0,4,1,0", "cpu is 0"),
        ("8,2,NaN,1,0", "memory is NaN"),
        ("8,2,4", "3 fields where 5 are expected"),
    ],
)
def test_a_bad_event_is_named_by_file_and_line(write, refusal, row, message):
    path = write("e.csv", f"vmid,cpu,memory,time,type\n1,2,4,0,0\n{row}\n2,2,4,3,0")
    text = refusal("huawei", path)
    assert text.startswith(f"{path}:3: ")
    assert message in text


def test_a_second_deletion_is_refused(write, refusal):
    path = write("e.csv", "vmid,cpu,memory,time,type\n1,2,4,0,0\n1,2,4,1,1\n1,2,4,2,1")
    assert f"{path}:4: VM 1 is deleted a second time" in refusal("huawei", path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0,1,1,3,5", "vmid 0 comes a second time"),
        ("1,1,1,-3,5", "at goes back from 0 to -3"),
        ("1,1,1,3,-5", "the VM ends before it starts: lt is -5"),
        ("1,1,1,3,", "lt is empty"),
    ],
)
def test_a_bad_completed_vm_is_named_by_file_and_line(write, refusal, row, message):
    path = write("x-lt.csv", f"vmid,cpu,mem,at,lt\n0,4,16,0.0,194.0\n{row}")
    text = refusal("huawei", path)
    assert text.startswith(f"{path}:3: ")
    assert message in text


def test_other_columns_are_refused_with_those_expected(write, refusal):
    text = refusal("huawei", write("x.csv", "vm,cpu\n1,2"))
    assert "found columns vm,cpu" in text
    assert "vmid,cpu,memory,time,type" in text


def test_a_folder_without_the_trace_says_what_it_holds(write, refusal):
    path = write("README.md", "x")
    assert "the folder holds README.md" in refusal("huawei", path.parent)
