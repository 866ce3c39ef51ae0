"""The same seed gives the same run, in this process and in another one with other hash values."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.sim.worlds import busy_run, fingerprint

REPOSITORY = Path(__file__).parents[3]
SAY = "from tests.unit.sim.worlds import busy_run, fingerprint; print(fingerprint(busy_run()))"


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_another_process_with_another_hash_seed_gives_the_same_run(hash_seed: str) -> None:
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(REPOSITORY)}
    said = subprocess.run(
        [sys.executable, "-c", SAY], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == fingerprint(busy_run())


def test_another_seed_or_another_policy_gives_another_run() -> None:
    prints = [
        fingerprint(busy_run(*how)) for how in (("best-fit", 7), ("best-fit", 8), ("worst-fit", 7), ("random", 7))
    ]
    assert len(dict.fromkeys(prints)) == 4


def test_every_path_of_the_engine_is_taken_by_the_run_that_is_compared() -> None:
    record = busy_run()
    assert len(dict.fromkeys(record.outcome.tolist())) == 4
    assert len(dict.fromkeys(record.stays.cause.tolist())) == 4
    assert record.migrations.sum() > 0
