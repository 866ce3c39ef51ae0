"""OpenStack's tests of compute against real guests, as ``make conformance SERVICE=compute BACKEND=libvirt`` does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bed.bed import ROOT
from tests.conftest import REPOSITORY
from tests.system.test_command import environment

pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

pytestmark = [pytest.mark.libvirt, pytest.mark.slow, pytest.mark.usefixtures("bed_machine")]

LOG_IN = "test_create_server.ServersTestJSON"
"""A class with both of the tests that log in to the guest, and three that do not."""


def started(folder: Path, *words: str) -> subprocess.Popen[str]:
    """The tool, with a group of its own, as a terminal would give it; temporary files are in the folder."""
    command = [REPOSITORY / "tools/conformance", "compute", "--backend", "libvirt", "--python", sys.executable, *words]
    said = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, env=environment(TMPDIR=str(folder)), start_new_session=True, **said)  # type: ignore[call-overload]


def ended(tool: subprocess.Popen[str], folder: Path, heard: str = "") -> list[str]:
    """What it said, in lines; ``heard`` is what was read of it. Nothing of it is left."""
    said = heard + tool.communicate()[0]
    if tool.returncode == 75:
        pytest.skip(said.strip().splitlines()[-1])
    (bed,) = re.findall(r"^bed (\d+)$", said, re.MULTILINE) or [""]
    assert bed, said
    assert not (ROOT / bed).exists()
    assert not re.findall(rf"^\d+: (sdbed{bed}t?|sdb{bed}h\w+)\b", links(), re.MULTILINE)
    assert list(folder.iterdir()) == []
    assert subprocess.run(["pgrep", "-af", str(folder)], capture_output=True, text=True, check=False).stdout == ""
    return said.splitlines()


def links() -> str:
    return subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout


def test_the_guideline_s_tests_log_in_to_a_guest(tmp_path: Path) -> None:
    tool = started(tmp_path, LOG_IN)
    said = ended(tool, tmp_path)
    assert tool.returncode == 0, said
    assert said[-1] == "compute-libvirt: 5 of 5 passed, 0 failed, 0 of them expected, 0 skipped"


@pytest.mark.proof
def test_real_guests_pass_the_guideline_s_tests_of_compute(tmp_path: Path) -> None:
    tool = started(tmp_path)
    said = ended(tool, tmp_path)
    assert tool.returncode == 0, said
    assert said[-1] == "compute-libvirt: 79 of 81 passed, 0 failed, 0 of them expected, 2 skipped"


@pytest.mark.proof
@pytest.mark.parametrize("what", [signal.SIGINT, signal.SIGTERM])
def test_who_is_impatient_leaves_nothing_behind(tmp_path: Path, what: signal.Signals) -> None:
    tool = started(tmp_path, LOG_IN)
    assert tool.stdout is not None
    heard = ""
    while LOG_IN not in heard:
        line = tool.stdout.readline()
        assert line, heard
        heard += line
    for _ in range(2):  # twice, as people do
        os.killpg(tool.pid, what)
    said = ended(tool, tmp_path, heard)
    assert (tool.returncode, said[-1]) == (130, "compute-libvirt: interrupted")
