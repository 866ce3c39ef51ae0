"""The control plane under random clients, faults and crashes: two hundred seeds without a violation."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.mark.parametrize("start", [0, 100])
def test_a_hundred_seeds_hold(start: int) -> None:
    command = [sys.executable, "-m", "sundog", "soak", "--start", str(start), "--seeds", "100", "--jobs", "1"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
