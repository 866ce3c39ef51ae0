"""What the tests of the trace readers share: a way to write a small file, and one to read it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sundog.errors import InputError
from sundog.runtime.seeds import Streams
from sundog.scenarios.traces import Trace, read_trace

Write = Callable[[str, str], Path]
Refusal = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes lines, stripped of indentation, to a file of the test's folder."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text("".join(f"{line.strip()}\n" for line in text.strip().splitlines()))
        return path

    return write


@pytest.fixture
def read() -> Callable[..., Trace]:
    """``read_trace`` with seed 1."""

    def read(form: str, path: Path, *, seed: int = 1, **more: Any) -> Trace:
        return read_trace(form, path, streams=Streams(seed), **more)

    return read


@pytest.fixture
def refusal(read: Callable[..., Trace]) -> Refusal:
    """The message of the InputError that reading ends with."""

    def refusal(form: str, path: Path, **more: Any) -> str:
        with pytest.raises(InputError) as caught:
            read(form, path, **more)
        return str(caught.value)

    return refusal
