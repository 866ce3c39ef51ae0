"""Opening a store: which places are understood, and what is said about the others."""

from __future__ import annotations

import stat
from contextlib import closing
from pathlib import Path

import pytest

from sundog.control.store import open_store
from sundog.control.store.engines import database_url
from sundog.errors import InputError, StoreUnavailable


def test_a_folder_holds_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    with closing(open_store(tmp_path)) as store:
        store.migrate()
        # The journal lies beside it while the store is open, and is as private.
        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    assert [path.name for path in tmp_path.iterdir()] == ["sundog.db"]


def test_a_file_is_made_where_it_is_asked_for(tmp_path: Path) -> None:
    for place in (tmp_path / "a.db", str(tmp_path / "b.db"), f"sqlite:///{tmp_path}/c.db"):
        with closing(open_store(place)) as store:
            store.migrate()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.db", "b.db", "c.db"]


def test_a_commit_survives_the_process_and_readers_do_not_wait(tmp_path: Path) -> None:
    with closing(open_store(tmp_path)) as store, store.read() as tx:
        settings = {
            name: tx.connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1}


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone for the database does not exist"):
        open_store(tmp_path / "gone" / "sundog.db")


def test_a_path_that_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "sundog.db").mkdir()
    with pytest.raises(InputError, match=r"sundog\.db: the database cannot be opened"):
        open_store(tmp_path)


@pytest.mark.parametrize("place", ["oracle://scott:tiger@db/x", "://tiger", "nosuch+thing://tiger@x/y"])
def test_an_address_that_is_not_understood_is_refused_without_its_password(place: str) -> None:
    with pytest.raises(InputError, match=r"use :memory:, a folder, a file, sqlite:///FILE or postgresql") as caught:
        open_store(place)
    assert "tiger" not in str(caught.value)


def test_drivers_that_bring_threads_are_refused() -> None:
    with pytest.raises(InputError, match="aiosqlite cannot hold Sundog's state"):
        database_url("sqlite+aiosqlite:///x.db")


def test_a_server_that_is_not_there_is_unavailable_and_its_password_is_not_told(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"cannot be reached \(.*No such file") as caught:
        open_store(f"postgresql+psycopg://sundog:tiger@/cloud?host={tmp_path}")
    assert "tiger" not in str(caught.value)
    assert "sundog:***@" in str(caught.value)


def test_a_plain_postgresql_address_takes_the_driver_that_is_used() -> None:
    assert database_url("postgresql://me@db/cloud").drivername == "postgresql+psycopg"
