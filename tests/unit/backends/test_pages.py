"""The pages about drivers name what there is: every clause, every fault, every operation."""

from __future__ import annotations

import re
from pathlib import Path

from sundog.backends.conformance import CLAUSES
from sundog.backends.playground import OPERATIONS
from sundog.backends.simulated import FaultKind, HostFault

DOCS = Path(__file__).parents[3] / "docs"


def first_column(page: str, heading: str) -> list[str]:
    """What stands in backquotes in the first column of the table whose heading begins with ``heading``."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    rows = lines[begin + 2 :]
    table = rows[: next((number for number, row in enumerate(rows) if not row.startswith("|")), len(rows))]
    return [name for row in table for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


def test_every_clause_is_explained() -> None:
    assert sorted(first_column("explanation/drivers.md", "clause")) == sorted(CLAUSES)


def test_every_fault_and_operation_is_listed() -> None:
    assert first_column("reference/faults.md", "kind") == [str(kind) for kind in FaultKind]
    assert first_column("reference/faults.md", "fault") == [str(fault) for fault in HostFault]
    text = (DOCS / "reference/faults.md").read_text(encoding="utf-8")
    listed = text[text.index("`operation` is the name of") : text.index("; or None for any")]
    assert re.findall(r"`([a-z_]+)`", listed)[1:] == list(OPERATIONS)
