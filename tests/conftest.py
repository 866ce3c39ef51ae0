"""Fixtures that every kind of test shares."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.bed.fixtures import base_disk, bed, bed_machine, ssh_key  # noqa: F401

# Machines are noisy and nothing here is timed; what runs for ever meets pytest-timeout.
settings.register_profile("sundog", deadline=None)
settings.load_profile("sundog")

REPOSITORY = Path(__file__).parents[1]
TRACES = REPOSITORY / ".." / "shared" / "traces"


@pytest.fixture(scope="session")
def traces() -> Path:
    """The folder of real traces; the test is skipped, with the reason, where it is not at hand."""
    if not TRACES.is_dir():
        pytest.skip("real traces are not at hand: ../shared/traces is missing beside the checkout")
    return TRACES.resolve()


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> None:
    """Ctrl-C does what it does at a terminal, also where the tests run in the background and ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _import_path() -> Iterator[None]:
    """The import path as it was: a scenario with a policy of its own adds the folders that the policy may be in."""
    before = [*sys.path]
    yield
    sys.path[:] = before
