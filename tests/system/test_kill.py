"""kill -9 of a cloud at every commit: after the restart all is as it should be, and what was acknowledged happened."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.system.killing import OPERATIONS

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nothing_is_lost_and_nothing_is_left(operation: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.system.killing", str(tmp_path), operation]
    told = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    *points, end = [json.loads(line) for line in told.stdout.splitlines()]
    assert [each for each in points if each["wrong"]] == []
    assert end["commits"] == end["points"] >= 2
    assert len(points) == 2 * end["points"]
    assert [each["acknowledged"] != "" for each in points[:2]] == [False, False]
    assert points[-1]["acknowledged"] != ""
