"""File systems that are small enough to fill."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """A file system of ``size`` (such as ``64k``) at ``place``; the test is skipped where it cannot be mounted."""
    place.mkdir()
    mount = shutil.which("mount")
    made = mount and subprocess.run([mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], capture_output=True)
    if not made or made.returncode:
        pytest.skip("a file system of its own cannot be mounted here; that takes root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)  # a traceback may hold a file a little longer
