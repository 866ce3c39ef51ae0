"""Requests made from our OpenAPI, right ones and wrong ones, against a cloud on loopback; ``make fuzz`` is longer."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

pytestmark = [pytest.mark.system, pytest.mark.slow]


def test_a_minute_of_requests_ends_in_no_error_of_the_cloud() -> None:
    command = [str(REPOSITORY / "tools/fuzz"), "--seconds", "60", "--python", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 75:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert done.stdout.splitlines()[-1].startswith("fuzz: ok")
