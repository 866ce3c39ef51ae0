"""The command line in this process, and one finished run that the tests look at."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sundog.cli.main import main
from tests.unit.scenarios.files import small, write


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as strict JSON."""

        def refuse(word: str) -> None:
            raise ValueError(f"{word} is not JSON")

        return json.loads(self.out, parse_constant=refuse)


Command = Callable[..., Ran]


def command(*arguments: object) -> Ran:
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main([str(each) for each in arguments])
        except SystemExit as exc:
            code = exc.code
    assert code is None or isinstance(code, int)
    return Ran(code or 0, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def sundog() -> Command:
    """Runs ``sundog ARGUMENTS`` and gives exit code and output."""
    return command


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a small run with failures and waiting, report and pictures included."""
    folder = tmp_path_factory.mktemp("finished")
    scenario = small(folder, ("outputs: {report: false}", "boot: {}"), ("count: 4", "count: 3"))
    write(folder / "printed.txt", command("run", scenario, "--out", folder / "out").out)
    return folder / "out"
