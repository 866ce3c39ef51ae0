"""kill -9 in the middle of writes: what was acknowledged is there, and what was not is there whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import REPOSITORY
from tests.unit.control.placement.books_of import make_placement, make_store, photograph

WRITER = """
import sys
from tests.unit.control.placement.books_of import host, make_placement, make_store, wanted

placement = make_placement(make_store(sys.argv[1]))
last = host(placement, "h", VCPU=1_000_000)
for number in range(1_000_000):
    uuid = host(placement, f"h{number}", VCPU=4, MEMORY_MB=64)
    placement.set_allocations([wanted(f"c{number}", {uuid: {"VCPU": 2, "MEMORY_MB": 8}, last: {"VCPU": 1}})])
    print(number, flush=True)
"""


def test_what_was_acknowledged_survives_and_nothing_is_half_there(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(40)][-1]
        writer.kill()
        acknowledged = max([acknowledged, *(int(line) for line in writer.stdout if line.endswith("\n"))])
    store = make_store(tmp_path)
    placement = make_placement(store)
    before = photograph(placement)
    placement.pool.check()
    for number in range(acknowledged + 1):
        assert sum(each["VCPU"] for each in placement.held(f"c{number}").values()) == 3
    for held in before["held"].values():
        assert sorted(each["VCPU"] for each in held.values()) == [1, 2]
    assert len(before["held"]) in (acknowledged + 1, acknowledged + 2)
    assert sum(each.get("VCPU", 0) for each in before["usages"].values()) == 3 * len(before["held"])
    assert photograph(make_placement(store)) == before
    store.close()
