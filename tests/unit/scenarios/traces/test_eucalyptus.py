from __future__ import annotations

import numpy as np
import pytest

LOG = """START 0 i-A NODE0 1
START 0 i-B NODE1 12
STOP 5 i-A
START 7 i-C NODE0 2
STOP 7 i-C"""


def test_a_log_becomes_vms_with_the_node_that_was_used(write, read):
    trace = read("eucalyptus", write("DS9-trace.txt", LOG))
    assert trace.vms["vm_id"].tolist() == ["i-A", "i-B", "i-C"]
    assert trace.vms["arrival_s"].tolist() == [0.0, 0.0, 7.0]
    np.testing.assert_array_equal(trace.vms["lifetime_s"], [5.0, np.nan, 0.0])
    assert trace.vms["vcpus"].tolist() == [1.0, 12.0, 2.0]
    assert trace.vms["node"].tolist() == ["NODE0", "NODE1", "NODE0"]
    assert any("1 of 3 VMs have no STOP" in note for note in trace.notes)


def test_memory_is_an_option_for_each_core_and_the_user_is_told(write, read):
    path = write("DS9-trace.txt", LOG)
    trace = read("eucalyptus", path)
    assert trace.vms["memory_mb"].tolist() == [1024.0, 12288.0, 2048.0]
    assert "1024 MiB for each core" in trace.notes[0]
    trace = read("eucalyptus", path, options={"memory_per_vcpu_mb": 512})
    assert trace.vms["memory_mb"].tolist() == [512.0, 6144.0, 1024.0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("STOP 1 i-Z", "VM i-Z stops and was never started"),
        ("START 1 i-A NODE0 1", "VM i-A starts a second time"),
        ("START 1 i-D NODE0", "START takes a time, an instance, a node and cores; found 3 fields"),
        ("START 1 i-D NODE0 0", "cores is '0'"),
        ("START 1 i-D NODE0 two", "cores is 'two'"),
        ("START x i-D NODE0 1", "time is 'x'"),
        ("START nan i-D NODE0 1", "time is nan"),
        ("START -1 i-D NODE0 1", "time goes back from 0 to -1"),
        ("STOP -1 i-A", "VM i-A ends before it starts: STOP at -1, START at 0"),
        ("STOP 1", "STOP takes a time and an instance; found 1 fields"),
        ("REBOOT 1 i-A", "'REBOOT' is not an event"),
    ],
)
def test_a_bad_line_is_named(write, refusal, line, message):
    path = write("t.txt", f"START 0 i-A NODE0 1\n{line}")
    text = refusal("eucalyptus", path)
    assert text.startswith(f"{path}:2: ")
    assert message in text


def test_a_second_stop_is_refused(write, refusal):
    path = write("t.txt", f"{LOG.split('START 7')[0]}STOP 6 i-A")
    assert ":4: VM i-A stops a second time" in refusal("eucalyptus", path)


def test_empty_and_binary_files_are_refused(tmp_path, write, refusal):
    (tmp_path / "t.txt").write_bytes(b"\xff\xfe\x00")
    assert "not a text file" in refusal("eucalyptus", tmp_path / "t.txt")
    (tmp_path / "t.txt").write_bytes(b"\n")
    assert "the file is empty" in refusal("eucalyptus", tmp_path / "t.txt")


def test_a_folder_must_hold_one_log(write, read, refusal):
    path = write("DS1-trace.txt", LOG)
    assert len(read("eucalyptus", path.parent).vms) == 3
    write("DS2-trace.txt", LOG)
    assert "name one of DS1-trace.txt, DS2-trace.txt" in refusal("eucalyptus", path.parent)


def test_a_bad_memory_option_is_refused(write, refusal):
    path = write("t.txt", LOG)
    assert "-1 is not a positive number" in refusal("eucalyptus", path, options={"memory_per_vcpu_mb": -1})
    assert "did you mean 'memory_per_vcpu_mb'?" in refusal("eucalyptus", path, options={"memory_per_vcpu": 1})
