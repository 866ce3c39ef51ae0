"""What is installed is all there, also what is no Python module that anybody imports."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

REPOSITORY = Path(__file__).parents[2]
MIGRATE = """
import sundog
from sundog.control.store import open_store
store = open_store(":memory:")
store.migrate()
with store.read() as tx:
    print(sundog.__file__, tx.connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one())
"""


def test_an_installed_sundog_brings_its_migrations(tmp_path: Path) -> None:
    wheel: list[str | Path] = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    wheel += [tmp_path, REPOSITORY]
    subprocess.run(wheel, check=True)
    installed = tmp_path / "installed"
    with zipfile.ZipFile(next(tmp_path.glob("sundog-*.whl"))) as made:
        made.extractall(installed)
    environment = os.environ | {"PYTHONPATH": str(installed)}
    ran = subprocess.run([sys.executable, "-c", MIGRATE], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    place, revision = ran.stdout.split()
    assert Path(place).is_relative_to(installed)
    assert revision == max(
        path.name.split("_")[0] for path in (REPOSITORY / "sundog/control/store/migrations/versions").glob("[0-9]*.py")
    )
