"""The three kinds of store. A test that takes ``store`` or ``place`` runs on each, one with ``shared_place`` on two."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sundog.control.store import Store, open_store
from tests.conformance.stores.example import make_store
from tests.postgresql import Server, running_server

POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.postgresql)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server; the test is skipped, with the reason, where there can be none."""
    with running_server() as server:
        yield server


@pytest.fixture(params=["memory", "file", POSTGRESQL])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new store can be opened."""
    return _place(request, tmp_path)


@pytest.fixture(params=["file", POSTGRESQL])
def shared_place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where several processes can open a store."""
    return _place(request, tmp_path)


@pytest.fixture
def empty_store(place: str) -> Iterator[Store]:
    """A store without tables."""
    with closing(open_store(place)) as store:
        yield store


@pytest.fixture
def store(place: str) -> Iterator[Store]:
    """A store with the example's schema."""
    with closing(make_store(place)) as store:
        yield store


def _place(request: pytest.FixtureRequest, folder: Path) -> str:
    match request.param:
        case "memory":
            return ":memory:"
        case "file":
            return str(folder)
        case _:
            server: Server = request.getfixturevalue("postgresql")
            return server.make_database()
