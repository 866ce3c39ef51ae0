"""OpenStack's own suites against a cloud of ours, as ``make conformance`` runs them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.mark.parametrize("service", ["identity", "image", "network", "placement", "interop", "smoke"])
def test_a_service_passes_what_it_is_known_to_pass(service: str) -> None:
    command = [str(REPOSITORY / "tools/conformance"), service, "--python", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 75:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert done.stdout.splitlines()[-1].startswith(f"{service}: ")
