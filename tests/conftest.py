"""Fixtures that every kind of test shares."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
TRACES = REPOSITORY / ".." / "shared" / "traces"


@pytest.fixture(scope="session")
def traces() -> Path:
    """The folder of real traces; the test is skipped, with the reason, where it is not at hand."""
    if not TRACES.is_dir():
        pytest.skip("real traces are not at hand: ../shared/traces is missing beside the checkout")
    return TRACES.resolve()
