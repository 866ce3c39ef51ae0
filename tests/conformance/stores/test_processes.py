"""Several processes at one store, and what is left when one is killed."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from sundog.errors import StoreUnavailable
from tests.conformance.stores.example import counters, make_server, make_store, names, servers
from tests.conformance.stores.programs import finish, program


def test_two_processes_never_lose_an_update(shared_place: str) -> None:
    store = make_store(shared_place, lock_timeout=60)
    with store.begin() as tx:
        tx.insert(counters, name="c", value=0)
    with ExitStack() as started:
        several = [started.enter_context(program("count_up", shared_place, "200")) for _ in range(2)]
        for process in several:
            finish(process)
    with store.read() as reader:
        assert reader.find(counters) == [{"name": "c", "value": 400}]
    store.close()


@pytest.mark.parametrize(
    ("when", "kept"), [("before the commit", []), ("after the commit", ["server from another process"])]
)
def test_kill_9_keeps_what_was_committed_and_nothing_else(shared_place: str, when: str, kept: list[str]) -> None:
    store = make_store(shared_place)
    with program("write_and_hang", shared_place, when) as process:
        assert process.stdout
        assert process.stdout.readline() == "now\n"
        process.kill()
        process.wait()
    assert names(store) == kept
    with store.begin() as tx:  # the lock died with its holder
        make_server(tx, "b")
    store.close()
    reopened = make_store(shared_place)
    assert sorted(names(reopened)) == sorted([*kept, "server b"])
    reopened.close()


def test_kill_9_at_any_moment_loses_nothing_that_was_acknowledged(shared_place: str) -> None:
    store = make_store(shared_place)
    with store.begin() as tx:
        tx.insert(counters, name="c", value=0)
    acknowledged = 0
    for lines in (1, 7, 40):
        with program("count_aloud", shared_place) as process:
            assert process.stdout
            for _ in range(lines):
                acknowledged = int(process.stdout.readline())
            process.kill()
            for line in process.stdout:
                acknowledged = int(line) if line.endswith("\n") else acknowledged
        with store.read() as reader:
            row = reader.get(counters, name="c")
            assert row
            # The last commit may not have been told any more.
            assert row["value"] in (acknowledged, acknowledged + 1)
            acknowledged = row["value"]
    assert acknowledged >= 48
    store.close()


def test_who_waits_too_long_for_another_is_told_and_can_try_again(shared_place: str) -> None:
    patient, hasty = make_store(shared_place), make_store(shared_place, lock_timeout=0.05)
    with patient.begin() as tx:
        make_server(tx, "a")
        with pytest.raises(StoreUnavailable, match="kept it locked for too long") as caught, hasty.begin():
            pass
        assert caught.value.committed is False
        assert names(hasty) == []  # readers wait for nobody
    with hasty.begin() as tx:
        make_server(tx, "b")
        assert tx.count(servers) == 2
    patient.close()
    hasty.close()
