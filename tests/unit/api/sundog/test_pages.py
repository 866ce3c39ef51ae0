"""The page of ``/sundog/v1`` lists what there is."""

from __future__ import annotations

import re
from pathlib import Path

from sundog.api.sundog import SERVICE
from sundog.backends.contract import EventKind

PAGE = (Path(__file__).parents[4] / "docs/reference/sundog.md").read_text(encoding="utf-8")


def test_every_operation_is_listed_with_its_rule_and_no_other() -> None:
    rows = re.findall(r"^\| `([A-Z]+) (/\S+)` \| `(\S+)` \|", PAGE, flags=re.MULTILINE)
    assert sorted(rows) == sorted((each.method, each.path, each.rule.name) for each in SERVICE.operations)


def test_every_kind_of_event_is_named() -> None:
    section = PAGE[PAGE.index("Kinds are") :].partition("\n\n")[0]
    assert re.findall(r"`([a-z-]+)`", section)[: len(EventKind) + 1] == [
        kind for each in EventKind for kind in (["server", each] if each == "host-up" else [each])
    ]
