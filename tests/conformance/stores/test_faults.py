"""Full, read-only, damaged and vanished stores: the caller is told, and finds no half of anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from sundog.control.store import Store, open_store
from sundog.errors import StoreUnavailable, Unavailable
from tests.conformance.stores.example import make_project, make_server, make_store, metadata, names, projects, servers
from tests.disks import small_disk
from tests.postgresql import Server, Wire, cut_wire, running_server

BALLAST = "x" * 100_000


def fill(store: Store) -> int:
    """Write until there is no room; how many servers and projects were acknowledged, which are as many."""
    acknowledged = 0
    with pytest.raises(StoreUnavailable, match=r"full.*nothing was changed") as caught:
        while acknowledged < 10_000:  # a gigabyte
            with store.begin() as tx:
                make_project(tx, f"{acknowledged:04}")
                make_server(tx, f"{acknowledged:04}", project_id=f"{acknowledged:04}", host=BALLAST)
            acknowledged += 1
    assert caught.value.committed is False
    return acknowledged


def check_full(store: Store) -> int:
    acknowledged = fill(store)
    assert acknowledged > 0
    with store.read() as tx:
        assert tx.count(servers) == tx.count(projects) == acknowledged
    return acknowledged


@pytest.mark.parametrize("place", ["memory", "file"], indirect=True)
def test_a_database_without_room_keeps_whole_transactions_and_can_be_read(store: Store) -> None:
    with store.begin() as tx:
        tx.execute(text("PRAGMA max_page_count = 400"))
    acknowledged = check_full(store)
    with store.begin() as tx:
        tx.execute(text("PRAGMA max_page_count = 100000"))
    with store.begin() as tx:
        make_server(tx, "room again")
        assert tx.count(servers) == acknowledged + 1


def test_a_full_disk_keeps_whole_transactions_and_can_be_read(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "3m") as disk:
        store = make_store(disk)
        (disk / "ballast").write_bytes(bytes(200_000))
        acknowledged = check_full(store)
        (disk / "ballast").unlink()
        with store.begin() as tx:
            make_server(tx, "room again")
        store.close()
        reopened = make_store(disk)
        with reopened.read() as reader:
            assert reader.count(servers) == acknowledged + 1
        reopened.close()


@pytest.mark.postgresql
def test_a_server_without_room_keeps_whole_transactions_and_can_be_read() -> None:
    with running_server() as server, small_disk(server.sockets / "disk", "32m") as disk:
        os.chown(disk, disk.parent.stat().st_uid, disk.parent.stat().st_gid)
        server.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
        server.execute("CREATE DATABASE small TABLESPACE small")
        store = make_store(server.url("small"))
        # PostgreSQL compresses what repeats itself; stored as it is, it fills the disk.
        with store.begin() as tx:
            tx.execute(text("ALTER TABLE servers ALTER COLUMN host SET STORAGE EXTERNAL"))
        check_full(store)
        store.close()
        server.stop()


@pytest.fixture
def read_only(shared_place: str) -> Iterator[Store]:
    """A store that holds one server and cannot be written."""
    store = make_store(shared_place)
    with store.begin() as tx:
        make_server(tx, "a")
    store.close()
    if "://" in shared_place:
        url = f"{shared_place}&options=-c%20default_transaction_read_only%3Don"
    else:
        url = f"sqlite:///file:{shared_place}/sundog.db?mode=ro&uri=true"
    store = open_store(url, metadata=metadata)
    yield store
    store.close()


def test_a_read_only_store_says_so_and_can_be_read(read_only: Store) -> None:
    with pytest.raises(StoreUnavailable, match="read-only") as caught, read_only.begin() as tx:
        assert tx.count(servers) == 1
        make_server(tx, "b")
    assert isinstance(caught.value, Unavailable)
    assert names(read_only) == ["server a"]


def test_a_file_that_is_no_database_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "sundog.db").write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(StoreUnavailable, match="not a SQLite database"):
        open_store(tmp_path)


# ------------------------------------------------------------------------------------------------- PostgreSQL goes away


def end_connections(server: Server, url: str) -> None:
    """As a restart, or an administrator, does."""
    database = url.rpartition("/")[2] if "?" not in url else url.partition("?")[0].rpartition("/")[2]
    server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")


@pytest.mark.postgresql
def test_a_connection_lost_between_transactions_is_not_noticed(postgresql: Server) -> None:
    store = make_store(url := postgresql.make_database())
    end_connections(postgresql, url)
    with store.begin() as tx:
        make_server(tx, "a")
    end_connections(postgresql, url)
    assert names(store) == ["server a"]
    store.close()


@pytest.mark.postgresql
def test_a_connection_lost_inside_a_transaction_leaves_nothing_of_it(postgresql: Server) -> None:
    store = make_store(url := postgresql.make_database())
    with pytest.raises(StoreUnavailable) as caught, store.begin() as tx:
        make_server(tx, "a")
        end_connections(postgresql, url)
        make_server(tx, "b")
    assert caught.value.committed is False
    assert names(store) == []
    store.close()


@pytest.mark.postgresql
def test_a_database_that_the_server_does_not_have_is_named(postgresql: Server) -> None:
    with pytest.raises(StoreUnavailable, match=r'cannot be reached.*database "missing" does not exist'):
        open_store(postgresql.url("missing"))


@pytest.mark.postgresql
def test_a_connection_lost_before_the_commit_leaves_nothing(postgresql: Server) -> None:
    store = make_store(url := postgresql.make_database())
    called: list[str] = []
    with pytest.raises(StoreUnavailable, match="nothing was changed") as caught, store.begin() as tx:
        make_server(tx, "a")
        tx.on_commit(lambda: called.append("a"))
        end_connections(postgresql, url)
    assert caught.value.committed is False
    assert (called, names(store)) == ([], [])
    store.close()


# ------------------------------------------------------------------------------- PostgreSQL goes away during the commit


@pytest.fixture
def wire(postgresql: Server) -> Iterator[Wire]:
    """A connection that can be cut, to a server that goes on."""
    with cut_wire(postgresql) as wire:
        yield wire


def committing(store: Store, name: str, called: list[str]) -> None:
    with store.begin() as tx:
        make_server(tx, name)
        tx.on_commit(lambda: called.append(name))
        tx.on_commit(lambda: called.extend(names(store)))


@pytest.mark.postgresql
def test_a_commit_whose_reply_was_lost_is_asked_for_and_has_happened(wire: Wire) -> None:
    store = make_store(wire.make_database())
    called: list[str] = []
    wire.cut("after")
    committing(store, "a", called)
    assert called == ["a", "server a"]
    assert names(store) == ["server a"]
    store.close()


@pytest.mark.postgresql
def test_a_commit_that_never_arrived_has_not_happened_and_says_so(wire: Wire) -> None:
    store = make_store(wire.make_database())
    called: list[str] = []
    wire.cut("before")
    with pytest.raises(StoreUnavailable, match="nothing was changed") as caught:
        committing(store, "a", called)
    assert caught.value.committed is False
    assert (called, names(store)) == ([], [])
    committing(store, "b", called)
    assert called == ["b", "server b"]
    store.close()


@pytest.mark.postgresql
@pytest.mark.parametrize("happened", [True, False])
def test_while_nobody_knows_whether_a_commit_happened_nothing_is_read_or_written(wire: Wire, happened: bool) -> None:
    store = make_store(wire.make_database())
    called: list[str] = []
    wire.cut("after" if happened else "before", stays=True)
    with pytest.raises(StoreUnavailable, match="may or may not have been committed") as caught:
        committing(store, "a", called)
    assert caught.value.committed is None
    for transaction in (store.begin, store.read):
        with pytest.raises(StoreUnavailable) as refused, transaction():
            pytest.fail("nothing may be decided now")
        assert refused.value.committed is False
    assert called == []
    wire.mend()
    with store.read() as tx:  # what waited is done before it sees anything
        assert called == (["a", "server a"] if happened else [])
        assert tx.count(servers) == happened
    assert names(store) == ["server a"] * happened
    assert called == ["a", "server a"] * happened
    store.close()


@pytest.mark.postgresql
def test_a_commit_that_wrote_nothing_leaves_no_doubt(wire: Wire) -> None:
    store = make_store(wire.make_database())
    wire.cut("after")
    with pytest.raises(StoreUnavailable, match="nothing was changed") as caught, store.begin() as tx:
        assert tx.count(servers) == 0
    assert caught.value.committed is False
    assert names(store) == []
    store.close()


@pytest.mark.postgresql
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_server_that_was_started_again_still_knows_what_became_of_a_commit(when: str) -> None:
    with running_server() as server, cut_wire(server) as wire:
        store = make_store(wire.make_database())
        called: list[str] = []
        wire.cut(when, stays=True)
        with pytest.raises(StoreUnavailable) as caught:
            committing(store, "a", called)
        assert caught.value.committed is None
        server.stop()
        with pytest.raises(StoreUnavailable), store.begin():
            pytest.fail("nothing may be decided now")
        server.start()
        wire.mend()
        happened = when == "after"
        assert names(store) == ["server a"] * happened
        assert called == ["a", "server a"] * happened
        store.close()


@pytest.mark.postgresql
def test_a_server_that_is_down_says_so_and_is_used_again_once_it_is_up() -> None:
    with running_server() as server:
        store = make_store(url := server.make_database())
        with store.begin() as tx:
            make_server(tx, "a")
        server.stop()
        with pytest.raises(StoreUnavailable, match="cannot be reached"), store.begin():
            pass
        with pytest.raises(StoreUnavailable), store.read():
            pass
        with pytest.raises(StoreUnavailable):
            open_store(url)
        server.start()
        assert names(store) == ["server a"]
        with store.begin() as tx:
            make_server(tx, "b")
        store.close()
