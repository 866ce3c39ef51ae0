"""The commands of the test bed, where they can do nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bed.needs import MISSING

TOOLS = Path(__file__).parents[3] / "tools"


def run(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one of them, with nothing installed but what is in a folder."""
    command = [sys.executable, TOOLS / words[0], *words[1:]]
    return subprocess.run(command, env={"PATH": str(path)}, capture_output=True, text=True, check=False)


def test_a_guest_is_not_made_where_something_is_missing_and_what_is_missing_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, "guest-image", "--cache", str(tmp_path / "cache"))
    assert done.returncode == MISSING
    assert re.fullmatch(r"not installed: .*\bcpio\b.*; --install installs them .*\n", done.stderr)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--bed", "49", "status"], 3, "bed 49 is down"),
        (["--bed", "49", "fault", "kill", "1"], 1, "bed 49 has no host 1; it has none: it is down"),
        (["--bed", "49", "fault", "kill", "1", "--process", "qemu"], 1, "kill befalls the whole host"),
        (["--bed", "100", "status"], 1, "there is no bed 100"),
    ],
)
def test_a_bed_that_is_down_says_so(tmp_path: Path, words: list[str], code: int, says: str) -> None:
    done = run(tmp_path, "libvirt-bed", *words)
    assert done.returncode == code
    assert says in done.stdout + done.stderr
