"""The command as a user runs it: a process of its own, with its signals, its terminal and its disk."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import REPOSITORY
from tests.disks import small_disk
from tests.unit.scenarios.files import SMALL, by_hand, small, write

pytestmark = [pytest.mark.system, pytest.mark.slow]

AZURE_LIKE = """\
name: azure-like
seed: 1
horizon: 1 d
fleet:
  - type: {name: gen1, vcpus: 32, memory: 128 GiB, disk: 2 TiB}
    count: 12
    zone: az1
    racks: 3
  - type: {name: gen2, vcpus: 64, memory: 256 GiB, disk: 4 TiB}
    count: 8
    zone: az2
    racks: 2
workload:
  synthetic: {preset: azure-like, arrivals_per_day: 2500, start: stationary, group_policy: anti-affinity}
policy: best-fit
overcommit: {vcpus: 4.0, memory: 1.0}
on_full: {wait: 10 min}
faults:
  hosts: {mtbf: 5 d, mttr: 4 h}
  racks: {mtbf: 20 d, mttr: 1 h}
boot: {}
outputs: {report: false}
"""

# Stands for a long run: says when it is in the middle of it, and goes on when it was told to twice.
PAUSING = """\
import sys

class Pausing:
    def __init__(self):
        self.decisions = 0

    def choose(self, request, hosts):
        self.decisions += 1
        if self.decisions == 20:
            print("in the middle", flush=True)
            sys.stdin.readline()
            print("still there", flush=True)
            sys.stdin.readline()
        return int(hosts.feasible.argmax())
"""


def environment(**more: str) -> dict[str, str]:
    here = {key: value for key, value in os.environ.items() if key not in ("FORCE_COLOR", "COLUMNS", "NO_COLOR")}
    return here | {"PYTHONPATH": str(REPOSITORY), "TERM": "xterm-256color"} | more


def sundog(*arguments: object, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sundog", *(str(each) for each in arguments)]
    return subprocess.run(command, cwd=cwd, env=environment(**more), capture_output=True, text=True, check=False)


def in_the_middle(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A run that has placed some VMs and waits for a line on its standard input."""
    write(folder / "pausing.py", PAUSING)
    scenario = small(folder, ("name: best-fit", "name: 'pausing:Pausing'"))
    process = subprocess.Popen(
        [sys.executable, "-m", "sundog.cli.main", "run", scenario, "--out", "out", *arguments],
        cwd=folder,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "in the middle\n"
    return process


def left_in(folder: Path) -> list[str]:
    return sorted(
        each.name for each in folder.iterdir() if each.name not in ("small.yaml", "pausing.py", "__pycache__")
    )


def test_a_killed_run_leaves_no_results_and_does_not_hinder_the_next(tmp_path: Path) -> None:
    with in_the_middle(tmp_path) as process:
        assert left_in(tmp_path) == [".out.partial"]
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    ran = sundog("run", write(tmp_path / "small.yaml", SMALL), "--out", "out", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert left_in(tmp_path) == ["out"]


def test_ctrl_c_ends_a_run_in_order_with_a_whole_partial_result(tmp_path: Path) -> None:
    with in_the_middle(tmp_path, "--json") as process:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate("\n\n")
    assert process.returncode == 130
    assert err.endswith("The run was interrupted: the results are partial.\n")
    assert left_in(tmp_path) == ["out"]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert json.loads(out.removeprefix("still there\n")) == summary
    assert summary["partial"] is True
    assert summary["conservation"]["holds"] is True
    assert len(pd.read_parquet(tmp_path / "out" / "vms.parquet")) == summary["figures"]["requests.total"]["value"] == 20


def test_a_second_ctrl_c_ends_the_program_and_leaves_nothing(tmp_path: Path) -> None:
    with in_the_middle(tmp_path) as process:
        process.send_signal(signal.SIGINT)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "still there\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert left_in(tmp_path) == []


def test_a_run_on_a_terminal_shows_simulated_time_vms_and_speed(tmp_path: Path) -> None:
    many = ("arrivals_per_day: 200", "arrivals_per_day: 60000"), ("count: 4", "count: 400")
    scenario = small(tmp_path, *many)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "sundog", "run", str(scenario), "--out", "out"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment(COLUMNS="160"), stdout=theirs, stderr=theirs) as run:
        os.close(theirs)
        shown = b""
        while chunk := read(ours):
            shown += chunk
    os.close(ours)
    text = shown.decode()
    assert run.returncode == 0, text
    assert "\x1b[" in text
    assert "running" in text
    assert " simulated, " in text
    assert " VMs, " in text
    assert " VMs/s" in text
    assert "Conservation holds" in text


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux's way to say that the other end has closed
        return b""


def test_a_run_that_nobody_watches_is_quiet(tmp_path: Path) -> None:
    ran = sundog("run", write(tmp_path / "s.yaml", AZURE_LIKE), "--out", "out", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert "\x1b" not in ran.stdout
    assert "simulated" not in ran.stdout


def test_one_seed_gives_one_result_whatever_the_hash_seed_and_another_seed_another(tmp_path: Path) -> None:
    scenario = write(tmp_path / "s.yaml", AZURE_LIKE)
    for out, seed, hash_seed in (("a", 1, "0"), ("b", 1, "1"), ("c", 2, "0")):
        ran = sundog("run", scenario, "--out", out, "--seed", seed, cwd=tmp_path, PYTHONHASHSEED=hash_seed)
        assert ran.returncode == 0, ran.stderr
    names = ("vms.parquet", "placements.parquet", "hosts.parquet", "events.parquet", "timeseries.parquet")
    for name in (*names, "run.json", "summary.json"):
        same = (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        assert same, f"{name} differs under another PYTHONHASHSEED"
    for name in ("vms.parquet", "placements.parquet", "events.parquet"):
        assert (tmp_path / "a" / name).read_bytes() != (tmp_path / "c" / name).read_bytes(), name
    assert "failed" in set(pd.read_parquet(tmp_path / "a" / "events.parquet")["event"])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 KiB: room for the tables, not for the report."""
    with small_disk(tmp_path / "disk", "600k") as place:
        yield place


def test_a_disk_that_is_too_small_for_the_report_ends_with_code_4_and_no_folder(tmp_path: Path, disk: Path) -> None:
    scenario = small(tmp_path, ("outputs: {report: false}\n", ""))
    ran = sundog("run", scenario, "--out", disk / "out", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (4, "")
    assert ran.stderr == (
        f"sundog: cannot write the results to {disk / 'out'}: the disk is full; choose another place with --out\n"
    )
    assert list(disk.iterdir()) == []
    ran = sundog("run", scenario, "--out", disk / "out", "--set", "outputs.report=false", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    before = {each.name: each.read_bytes() for each in (disk / "out").iterdir()}
    ran = sundog("report", disk / "out", cwd=tmp_path)
    assert ran.returncode == 4
    assert "No space left on device" in ran.stderr
    after = {each.name: each.read_bytes() for each in (disk / "out").iterdir() if each.is_file()}
    assert {name: after[name] for name in before} == before
    assert not [name for name in after if name.endswith(".partial")]


def test_a_reader_that_goes_away_ends_the_output_quietly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sundog", "trace", "formats"]
    ours, theirs = os.pipe()
    os.close(ours)
    ran = subprocess.run(
        command, cwd=tmp_path, env=environment(), stdout=theirs, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(theirs)
    assert ran.stderr == ""


def test_the_command_and_the_module_are_one(tmp_path: Path) -> None:
    by_hand(tmp_path)
    ran = sundog("validate", "by-hand.yaml", cwd=tmp_path)
    assert ran.returncode == 0
    assert ran.stdout.splitlines()[-1].startswith("by-hand.yaml: valid; 2 hosts, 6 VMs")
    ran = sundog("fly", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "No such command 'fly'" in ran.stderr
