"""The tutorial of the cloud, run as it is written: every block of shell, in order, in one shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

pytestmark = [pytest.mark.system, pytest.mark.slow]

PAGE = REPOSITORY / "docs" / "tutorial" / "cloud.md"


def script() -> str:
    """The blocks, so that the first command that fails ends it, and whatever was started is stopped."""
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) > 10
    head = "set -e -o pipefail -m\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
    return head + "\n".join(f"echo '== {number}'\n{block}" for number, block in enumerate(blocks, start=1))


def test_the_tutorial_of_the_cloud_does_what_it_says(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    if not index_is_there(tmp_path):
        pytest.skip("the package index is out of reach, and with it OpenStack's client")
    kept = {name: value for name, value in os.environ.items() if re.match("PATH$|PIP_|SSL_|.*_proxy$", name)}
    done = subprocess.run(
        ["bash", "-c", script()],
        cwd=REPOSITORY, env={**kept, "HOME": str(home), "LANG": "C.UTF-8"}, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    log = home / "my-cloud" / "log"
    told = done.stdout[-6000:] + done.stderr[-6000:] + (log.read_text(encoding="utf-8")[-3000:] if log.exists() else "")
    assert done.returncode == 0, told


def index_is_there(folder: Path) -> bool:
    """Whether pip finds the client."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(folder),
        "python-openstackclient",
    ]
    return subprocess.run(command, capture_output=True).returncode == 0
