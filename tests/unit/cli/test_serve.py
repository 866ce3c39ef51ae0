"""What ``sundog serve`` is told, before it serves."""

from __future__ import annotations

import socket

import pytest

from sundog.backends.simulated import identical_hosts
from sundog.cli.serve import _fleet
from sundog.errors import InputError

SCENARIO = """
name: two-zones
fleet:
  - type: {name: big, vcpus: 32, memory: 128 GiB, disk: 1 TiB}
    count: 3
    zone: az1
  - inventory: hosts.csv
    zone: az2
overcommit: {vcpus: 4}
workload: {trace: {format: normalised, path: missing.csv}}
policy: first-fit
"""


def test_nothing_said_means_the_clouds_own_hosts():
    assert _fleet(None, None) is None
    assert _fleet(2000, None) == identical_hosts(2000)


def test_a_scenario_gives_its_fleet_and_overcommit_and_its_trace_is_not_read(tmp_path):
    (tmp_path / "fleet.yaml").write_text(SCENARIO)
    (tmp_path / "hosts.csv").write_text("type,count,vcpus,memory_mb\nsmall,2,8,16384\n")
    plan = _fleet(None, str(tmp_path / "fleet.yaml"))
    assert [(group.type.name, group.count, group.zone) for group in plan.groups] == [
        ("big", 3, "az1"),
        ("small", 2, "az2"),
    ]
    assert plan.overcommit.vcpus == 4


def test_an_inventory_of_the_trace_needs_the_trace(tmp_path):
    (tmp_path / "fleet.yaml").write_text(SCENARIO.replace("hosts.csv", "trace"))
    with pytest.raises(InputError, match=r"missing\.csv"):
        _fleet(None, str(tmp_path / "fleet.yaml"))


def test_both_and_neither_a_file_nor_a_name_are_refused(sundog, tmp_path):
    for options, said in (
        (("--hosts", 3, "--scenario", "quickstart"), "give one of them"),
        (("--scenario", tmp_path / "none.yaml"), "there is no scenario"),
        (("--hosts", 0), "makes no sense"),
        (("--backend", "clay"), "there is no backend"),
    ):
        told = sundog("serve", "--state", ":memory:", *options)
        assert told.code == 2
        assert said in told.err


@pytest.mark.parametrize("backend", ["simulated", "libvirt"])
def test_a_port_that_is_another_s_is_said_to_be_so(sundog, tmp_path, backend):
    if backend == "libvirt":
        pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = sundog("serve", "--backend", backend, "--state", tmp_path / "state", "--listen", f"127.0.0.1:{port}")
    assert told.code == 2
    assert told.err.splitlines()[-1] == f"sundog: cannot listen on 127.0.0.1 port {port}: is it in use?"
