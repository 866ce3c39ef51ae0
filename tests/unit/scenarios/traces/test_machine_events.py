from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sundog.errors import InputError
from sundog.scenarios.traces import read_machine_events, uptimes

ORIGINAL = """0,5,0,HofLGzk1Or,0.5,0.2493
0,6,0,HofLGzk1Or,0.5,0.2493
1500000,5,1,HofLGzk1Or,,
2000000,6,2,HofLGzk1Or,0.5,0.25
3500000,5,0,HofLGzk1Or,0.5,0.2493"""


def check(events):
    assert events["time_s"].tolist() == [0.0, 0.0, 1.5, 2.0, 3.5]
    assert events["machine"].dtype == np.int64
    assert events["machine"].tolist() == [5, 6, 5, 6, 5]
    assert events["event"].tolist() == ["add", "add", "remove", "update", "add"]
    np.testing.assert_array_equal(events["cpu"], [0.5, 0.5, np.nan, 0.5, 0.5])
    np.testing.assert_array_equal(events["memory"], [0.2493, 0.2493, np.nan, 0.25, 0.2493])


def test_the_original_csv_has_no_header(write, tmp_path):
    path = write("part-00000-of-00001.csv", ORIGINAL)
    check(read_machine_events(path))
    check(read_machine_events(path.parent))
    packed = tmp_path / "machine.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    check(read_machine_events(packed))


def test_parquet_and_csv_with_a_header_name_their_columns(write, tmp_path):
    columns = {
        "t_us": [0.0, 0, 1.5e6, 2e6, 3.5e6],
        "machine_id": [5, 6, 5, 6, 5],
        "event": [0, 0, 1, 2, 0],
        "cpu": [0.5, 0.5, None, 0.5, 0.5],
        "mem": [0.2493, 0.2493, None, 0.25, 0.2493],
    }
    path = tmp_path / "google_machine_events.parquet"
    pq.write_table(pa.table(columns), path)
    check(read_machine_events(path))
    check(read_machine_events(tmp_path))
    check(read_machine_events(write("t.csv", f"t_us,machine_id,event,platform,cpu,mem\n{ORIGINAL}")))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("4,5,3,p,1,1", "event is 3; expected 0 add, 1 remove, 2 update"),
        ("-1,5,0,p,1,1", "t_us is -1"),
        ("0,5.5,0,p,1,1", "machine_id is 5.5; a whole number"),
        ("0,5,0,p,NaN,1", "cpu is NaN"),
        ("0,5,0", "3 fields where 6 are expected"),
    ],
)
def test_a_bad_event_is_named_by_file_and_line(write, row, message):
    path = write("t.csv", f"0,5,0,p,1,1\n{row}")
    with pytest.raises(InputError) as caught:
        read_machine_events(path)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert message in str(caught.value)


def test_events_out_of_order_and_missing_files_are_refused(write, tmp_path):
    with pytest.raises(InputError, match="t_us goes back"):
        read_machine_events(write("t.csv", "9,5,0,p,1,1\n8,6,0,p,1,1"))
    with pytest.raises(InputError, match="no such file"):
        read_machine_events(tmp_path / "absent.csv")


def test_uptimes_pair_each_add_with_its_remove(write):
    stays = uptimes(read_machine_events(write("t.csv", ORIGINAL)))
    assert stays["machine"].tolist() == [5, 6, 5]
    assert stays["start_s"].tolist() == [0.0, 0.0, 3.5]
    np.testing.assert_array_equal(stays["end_s"], [1.5, np.nan, np.nan])


def test_uptimes_pass_over_a_second_add_and_a_second_remove():
    events = pd.DataFrame(
        {"time_s": [0.0, 1, 2, 3], "machine": [1, 1, 1, 1], "event": ["add", "add", "remove", "remove"]}
    )
    assert uptimes(events).values.tolist() == [[1.0, 0.0, 2.0]]
    with pytest.raises(InputError, match="not in time order"):
        uptimes(events.iloc[::-1])
