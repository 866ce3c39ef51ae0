from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pytest

from sundog.errors import InputError
from sundog.scenarios.traces import write_normalised

VMS = [
    (0, 70, 1, 0, -1.5, 2.0),
    (1, 70, 2, 1, 0.25, None),
    (2, 71, 1, 1, 0.125, 0.125),
    (3, 72, 2, 0, 13.5, 89.5),
]
TYPES = [
    (0, 1, 16, 0.5, 0.25, None, 0.1, 0.0625),
    (1, 1, 17, 0.25, 0.125, None, 0.05, 0.03125),
    (2, 2, 16, 0.125, 0.0625, 0.5, None, 0.0),
]
VM_HEAD = ("vmId", "tenantId", "vmTypeId", "priority", "starttime", "endtime")
TYPE_HEAD = ("id", "vmTypeId", "machineId", "core", "memory", "hdd", "ssd", "nic")


def make_sqlite(path, vms=VMS, types=TYPES, vm_head=VM_HEAD):
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"CREATE TABLE vm ({', '.join(vm_head)})")
        database.execute(f"CREATE TABLE vmType ({', '.join(TYPE_HEAD)})")
        database.executemany(f"INSERT INTO vm VALUES ({','.join('?' * len(vm_head))})", vms)
        database.executemany("INSERT INTO vmType VALUES (?,?,?,?,?,?,?,?)", types)
    return path


def make_csv(folder, vms=VMS, types=TYPES):
    for name, head, rows in (("VM.csv", map(str.lower, VM_HEAD), vms), ("vmtype.csv", TYPE_HEAD, types)):
        lines = [",".join(head), *(",".join("" if value is None else str(value) for value in row) for row in rows)]
        (folder / name).write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(params=["sqlite", "csv"])
def path(request, tmp_path):
    return make_sqlite(tmp_path / "packing_trace_zone_a_v1.sqlite") if request.param == "sqlite" else make_csv(tmp_path)


def test_requests_are_in_arrival_order_in_seconds_without_a_size_of_their_own(path, read):
    trace = read("azure-packing", path)
    vms = trace.vms
    assert vms["vm_id"].tolist() == [0, 2, 1, 3]
    assert vms["arrival_s"].tolist() == [-129600.0, 10800.0, 21600.0, 1166400.0]
    np.testing.assert_array_equal(vms["lifetime_s"], [302400.0, 0.0, np.nan, 6566400.0])
    assert vms[["vcpus", "memory_mb"]].isna().all(axis=None)
    assert vms["flavor"].tolist() == ["1", "1", "2", "2"]
    assert vms["project_id"].tolist() == ["70", "71", "70", "72"]
    assert vms["priority"].tolist() == [0, 1, 1, 0]
    assert "1 VMs are alive at the beginning; 1 were alive 90 days on" in trace.notes[0]


def test_demand_is_a_fraction_of_each_machine_and_null_asks_for_nothing(path, read):
    trace = read("azure-packing", path)
    assert trace.variants.values.tolist() == [
        ["1", "16", 0.5, 0.25, 0.0, 0.1, 0.0625],
        ["1", "17", 0.25, 0.125, 0.0, 0.05, 0.03125],
        ["2", "16", 0.125, 0.0625, 0.5, 0.0, 0.0],
    ]
    assert list(trace.variants) == ["flavor", "machine", "core", "memory", "hdd", "ssd", "nic"]
    assert trace.hosts["type"].tolist() == ["16", "17"]
    assert trace.hosts["count"].isna().all()


def test_one_machine_and_its_size_make_an_ordinary_trace_that_can_be_written(path, read, tmp_path):
    options = {"machine": 17, "machine_vcpus": 64, "machine_memory_mb": 262144}
    trace = read("azure-packing", path, options=options)
    assert trace.vms["vm_id"].tolist() == [0, 2]
    assert trace.vms["vcpus"].tolist() == [16.0, 16.0]
    assert trace.vms["memory_mb"].tolist() == [32768.0, 32768.0]
    assert trace.variants is None
    assert "2 VMs have none there and were dropped" in trace.notes[-1]
    write_normalised(trace, tmp_path / "out.parquet")
    again = read("normalised", tmp_path / "out.parquet").vms
    assert again["memory_mb"].tolist() == [32768.0, 32768.0]


def test_demand_that_hangs_on_the_machine_is_not_written(path, read, tmp_path):
    with pytest.raises(InputError, match="depends on the machine"):
        write_normalised(read("azure-packing", path), tmp_path / "out.parquet")


def test_options_of_one_machine_belong_together(path, refusal):
    assert "needs machine_vcpus" in refusal("azure-packing", path, options={"machine": "16"})
    assert "need the option machine" in refusal("azure-packing", path, options={"machine_vcpus": 1})
    sizes = {"machine_vcpus": 1, "machine_memory_mb": 1}
    text = refusal("azure-packing", path, options={"machine": 9, **sizes})
    assert "no machine '9' in the trace; it has 16, 17" in text
    assert "not the id of a machine" in refusal("azure-packing", path, options={"machine": 1.5, **sizes})


@pytest.mark.parametrize(
    ("vm", "message"),
    [
        ((0, 70, 1, 0, 1.0, 2.0), "vmId 0 comes a second time"),
        ((9, 70, 1, 0, 1.0, 0.5), "the VM ends before it starts: starttime 1, endtime 0.5"),
        ((9, 70, 5, 0, 1.0, 2.0), "VM type 5 is not in "),
        ((9, 70, 1, 0, None, 2.0), "starttime is empty"),
    ],
)
@pytest.mark.parametrize("kind", ["sqlite", "csv"])
def test_a_bad_request_is_named(tmp_path, refusal, kind, vm, message):
    if kind == "sqlite":
        path, where = make_sqlite(tmp_path / "t.sqlite", [*VMS, vm]), f"{tmp_path / 't.sqlite'}: vm row 5: "
    else:
        path, where = make_csv(tmp_path, [*VMS, vm]), f"{tmp_path / 'VM.csv'}:6: "
    text = refusal("azure-packing", path)
    assert text.startswith(where)
    assert message in text


def test_bad_types_are_refused(tmp_path, refusal):
    twice = make_sqlite(tmp_path / "a.sqlite", types=[*TYPES, (3, 1, 16, 0.1, 0.1, 0, 0, 0)])
    assert "vmType row 4: VM type 1 is there a second time for machine 16" in refusal("azure-packing", twice)
    negative = make_sqlite(tmp_path / "b.sqlite", types=[*TYPES, (3, 3, 16, -0.1, 0.1, 0, 0, 0)])
    assert "core is -0.1" in refusal("azure-packing", negative)


def test_a_type_beyond_its_machine_is_noted(tmp_path, read):
    path = make_sqlite(tmp_path / "a.sqlite", types=[*TYPES, (3, 3, 16, 1.5, 0.1, 0, 0, 0)])
    assert "1 VM types ask for more than the whole of a machine" in read("azure-packing", path).notes


def test_files_that_are_no_such_trace_are_refused(tmp_path, refusal):
    short = tmp_path / "short.sqlite"
    short.write_bytes(make_sqlite(tmp_path / "t.sqlite").read_bytes()[:4096])
    assert "cannot be read" in refusal("azure-packing", short)
    (tmp_path / "zip.sqlite").write_bytes(b"PK\3\4" + bytes(100))
    assert "not an sqlite database" in refusal("azure-packing", tmp_path / "zip.sqlite")
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as database, database:
        database.execute("CREATE TABLE vm (vmId)")
    assert "missing columns tenantId" in refusal("azure-packing", tmp_path / "other.sqlite")
    assert "column" in refusal("azure-packing", make_sqlite(tmp_path / "few.sqlite", [], vm_head=VM_HEAD))
    mixed = make_sqlite(tmp_path / "mixed.sqlite", [*VMS, (9, 70, 1, 0, "soon", 2.0)])
    assert "mixes numbers and text" in refusal("azure-packing", mixed)


def test_a_folder_of_exports_needs_both_tables(tmp_path, refusal):
    make_csv(tmp_path)
    (tmp_path / "vmtype.csv").unlink()
    assert "no table of VM types here" in refusal("azure-packing", tmp_path)


def test_the_file_is_opened_for_reading_only(tmp_path, read):
    path = make_sqlite(tmp_path / "odd name?#.sqlite")
    before = path.read_bytes()
    read("azure-packing", path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["odd name?#.sqlite"]


def test_arrival_order_is_stable_over_many_rows(tmp_path, read):
    vms = [(i, 1, 1, 0, float(-(i // 10)), None) for i in range(300)]
    ids = read("azure-packing", make_sqlite(tmp_path / "t.sqlite", vms)).vms["vm_id"]
    assert ids.tolist() == [i for block in range(29, -1, -1) for i in range(block * 10, block * 10 + 10)]
    assert isinstance(ids, pd.Series)
