"""The same seed gives the same trace in every process, whatever its hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[4]
PROGRAM = "from tests.unit.backends.simulated.test_faults import chaos; print(chaos(1))"


def trace(hash_seed: str) -> str:
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, cwd=REPOSITORY, check=True, capture_output=True, text=True
    )
    return done.stdout


def test_processes_with_other_hash_seeds_leave_the_same_trace() -> None:
    first = trace("0")
    assert len(first) > 1000
    assert first == trace("1")
