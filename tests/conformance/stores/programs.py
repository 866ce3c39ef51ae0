"""Starts what ``example`` does in processes of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]


@contextmanager
def program(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """``example`` run with these arguments, and killed at the end of the block if it has not ended by then."""
    command = [sys.executable, "-m", "tests.conformance.stores.example", *arguments]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def finish(process: subprocess.Popen[str]) -> None:
    """Wait until ``process`` has ended well."""
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
