from __future__ import annotations

import numpy as np
import pytest

from sundog.errors import InputError
from sundog.runtime.seeds import Streams
from sundog.scenarios.traces import FORMATS, read_trace

CSV = "vm_id,arrival_s,lifetime_s,vcpus,memory_mb\n1,-10,20,1,1\n2,0,,1,1\n3,40,4,1,1"


def test_every_format_has_a_line_about_it():
    assert list(FORMATS) == ["normalised", "azure-v1", "huawei", "eucalyptus", "openb", "azure-packing"]
    assert all(form.name == name and form.description for name, form in FORMATS.items())


def test_time_scale_stretches_arrivals_and_lifetimes_and_limit_keeps_the_first(write, read):
    trace = read("normalised", write("t.csv", CSV), limit=2, time_scale=0.5)
    assert trace.vms["arrival_s"].tolist() == [-5.0, 0.0]
    np.testing.assert_array_equal(trace.vms["lifetime_s"], [10.0, np.nan])
    assert trace.notes == (
        "the first 2 of 3 VMs (limit)",
        "arrivals and lifetimes multiplied by 0.5 (time_scale)",
    )


def test_a_limit_beyond_the_trace_changes_nothing(write, read):
    trace = read("normalised", write("t.csv", CSV), limit=3)
    assert len(trace.vms) == 3
    assert trace.notes == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "huawai"}, "unknown trace format 'huawai'; did you mean 'huawei'?"),
        ({"limit": 0}, "limit is 0"),
        ({"limit": 2.5}, "limit is 2.5"),
        ({"limit": True}, "limit is True"),
        ({"time_scale": 0.0}, "time_scale is 0.0"),
        ({"time_scale": float("nan")}, "time_scale is nan"),
        ({"options": {"machine": 1}}, "unknown option 'machine' for traces of format normalised; it knows no options"),
    ],
)
def test_bad_arguments_are_refused(write, arguments, message):
    path = write("t.csv", CSV)
    with pytest.raises(InputError) as caught:
        read_trace(**{"format": "normalised", "path": path, "streams": Streams(1), **arguments})
    assert message in str(caught.value)


@pytest.mark.parametrize("form", FORMATS)
def test_a_missing_file_is_named_whatever_the_format(tmp_path, refusal, form):
    assert refusal(form, tmp_path / "absent").startswith(f"{tmp_path / 'absent'}: there is no such file")


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_folder_is_refused_whatever_the_format(tmp_path, refusal, form):
    assert str(tmp_path) in refusal(form, tmp_path)
