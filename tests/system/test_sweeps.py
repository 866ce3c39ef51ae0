"""Sweeps as a user runs them: killed in the middle, interrupted, and on a Ray cluster of two nodes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import sundog as package
from sundog.analysis import measure
from sundog.scenarios.sweep.plan import plan_sweep
from tests.system.test_command import environment, sundog
from tests.unit.scenarios.files import by_hand, small, write

pytestmark = [pytest.mark.system, pytest.mark.slow]

# Stands for a long run: as long as there is a pipe to tell it, says where it is and holds the pipe until it ends.
TELLING = """\
import os

import helper_of_telling


class Telling:
    def __init__(self):
        self.pipe = None

    def choose(self, request, hosts):
        if self.pipe is None and os.path.exists("pipe"):
            self.pipe = open("pipe", "w")
            self.pipe.write("in the middle\\n")
            self.pipe.flush()
            if os.path.exists("hold"):
                open("hold").read()
        return helper_of_telling.first(hosts)


class Where:
    def choose(self, request, hosts):
        raise RuntimeError(f"played from {__file__}")
"""
HELPER = """\
def first(hosts):
    return int(hosts.feasible.argmax())
"""
SWEEP = ("sweep", "small.yaml", "--vary", "policy=first-fit,telling:Telling", "--seeds", "2", "--jobs", "1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A current folder with a scenario, and a policy with a module that it imports."""
    small(tmp_path)
    write(tmp_path / "telling.py", TELLING)
    write(tmp_path / "helper_of_telling.py", HELPER)
    return tmp_path


def in_the_middle(folder: Path) -> subprocess.Popen[str]:
    """A sweep of four cells, one of them done and the second being played."""
    os.mkfifo(folder / "pipe")
    command = [sys.executable, "-m", "sundog", *SWEEP, "--out", "out"]
    return subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def finished_otherwise(folder: Path) -> bytes:
    """The results of the same sweep, played in one go."""
    ran = sundog(*SWEEP, "--out", "whole", cwd=folder)
    assert ran.returncode == 0, ran.stderr
    return (folder / "whole" / "results.parquet").read_bytes()


def test_a_sweep_that_was_killed_goes_on_as_if_nothing_had_happened(folder: Path) -> None:
    with in_the_middle(folder) as process, (folder / "pipe").open() as pipe:
        assert pipe.readline() == "in the middle\n"
        process.kill()
        process.wait()
        assert pipe.read() == ""  # only when the process that played the cell has ended, too
    assert process.returncode == -signal.SIGKILL
    (folder / "pipe").unlink()
    left = (folder / "out" / "cells.jsonl").read_bytes()
    assert left.count(b"\n") == 1
    assert not (folder / "out" / "results.parquet").exists()
    compared = sundog("compare", "out", "--metric", "hosts.empty_mean", cwd=folder)
    assert "1 of 4 cells are done, 3 are missing: this is a partial result" in compared.stdout, compared.stderr

    ran = sundog(*SWEEP, "--out", "out", cwd=folder)
    assert (ran.returncode, ran.stderr) == (0, "note: 1 of 4 cells were done before\n")
    assert (folder / "out" / "cells.jsonl").read_bytes().startswith(left)
    assert (folder / "out" / "results.parquet").read_bytes() == finished_otherwise(folder)


def test_a_sweep_that_was_interrupted_leaves_what_it_has_and_goes_on(folder: Path) -> None:
    os.mkfifo(folder / "hold")
    with in_the_middle(folder) as process, (folder / "pipe").open() as pipe:
        assert pipe.readline() == "in the middle\n"
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: every process gets it
        out, err = process.communicate()
        assert pipe.read() == ""
    assert process.returncode == 130
    assert out.startswith("4 cells: 1 done, 0 failed\n")
    assert err == "The sweep was interrupted; the same command goes on with it.\n"
    assert len(pd.read_parquet(folder / "out" / "results.parquet")) == 1
    (folder / "pipe").unlink()
    (folder / "hold").unlink()
    assert sundog(*SWEEP, "--out", "out", cwd=folder).returncode == 0
    assert (folder / "out" / "results.parquet").read_bytes() == finished_otherwise(folder)


# ---------------------------------------------------------------- Ray

CLUSTER = """\
import sys

from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a Ray cluster of two nodes with one CPU each; it ends with the tests that use it."""
    pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER], env=environment(RAY_USAGE_STATS_ENABLED="0"), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        yield next(line.strip() for line in lines if line[:1].isdigit())
        process.communicate("")
    assert process.returncode == 0


def test_a_ray_cluster_plays_on_all_its_nodes_and_gives_the_same_results(folder: Path, cluster: str) -> None:
    ray = ("--engine", "ray", "--address", cluster)
    ran = sundog(*SWEEP[:-2], *ray, "--out", "out", cwd=folder)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    assert ran.stdout.startswith("4 cells: 4 done, 0 failed\n")
    journal = [json.loads(line) for line in (folder / "out" / "cells.jsonl").read_text().splitlines()]
    nodes = {line["where"] for line in journal}
    assert len(nodes) == 2
    assert all(node.startswith("ray node ") for node in nodes)
    assert (folder / "out" / "results.parquet").read_bytes() == finished_otherwise(folder)


def test_a_policy_and_what_it_imports_travel_to_the_nodes(folder: Path, cluster: str) -> None:
    ray = ("--engine", "ray", "--address", cluster)
    ran = sundog(
        "sweep", "small.yaml", "--vary", "policy=telling:Where", "--seeds", "1", *ray, "--out", "out", cwd=folder
    )
    assert ran.returncode == 3
    assert "sundog-sweep-" in ran.stderr.partition("played from ")[2]


def test_a_ray_cluster_that_is_not_there_is_told(folder: Path) -> None:
    pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    ran = sundog("sweep", "small.yaml", "--seeds", "1", "--engine", "ray", "--address", "127.0.0.1:1", cwd=folder)
    assert ran.returncode == 2
    assert "the Ray cluster at 127.0.0.1:1 is not reached" in ran.stderr


def test_a_node_without_the_trace_or_with_another_sundog_says_so(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    from sundog.scenarios.sweep.ray_crew import modules_of, trouble_on

    plan = plan_sweep(by_hand(tmp_path), [], replicates=1)
    (path,) = plan.inputs
    size = path.stat().st_size
    assert trouble_on("n1", {str(path): size}, package.__version__) == ""
    assert f"Ray node n1 has another file at {path}" in trouble_on("n1", {str(path): size + 1}, package.__version__)
    path.unlink()
    assert f"Ray node n1 has no file at {path}; traces and" in trouble_on("n1", {str(path): size}, package.__version__)
    assert "Ray node n1 has Sundog" in trouble_on("n1", {}, "0.0.0")
    assert modules_of(plan) == {}
    assert measure.__module__ == "sundog.analysis.report"  # what is sent to other processes can be imported there
