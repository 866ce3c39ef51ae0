"""Tables that only the tests know, and what they do with them in processes of their own."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
    func,
    text,
    update,
)

from sundog.control.store import Store, Tx, open_store, tables
from sundog.control.store.tables import Id, Int, Json, Text, UtcDateTime

metadata = MetaData(naming_convention=tables.metadata.naming_convention)

NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)

projects = Table("projects", metadata, Column("id", Id, primary_key=True), Column("name", Text, nullable=False))
servers = Table(
    "servers",
    metadata,
    Column("id", Id, primary_key=True),
    Column("project_id", ForeignKey("projects.id")),
    Column("name", Text, nullable=False),
    Column("host", Text),
    Column("created_at", UtcDateTime),
    Column("extra", Json),
    Column("size", Int),
    Column("ratio", Double),
    Column("locked", Boolean),
    Column("key", LargeBinary),
    UniqueConstraint("project_id", "name"),
)
flavors = Table(
    "flavors",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("base_id", ForeignKey("flavors.id", deferrable=True, initially="DEFERRED")),
    Index("uq_flavors_lower_name", func.lower(text("name")), unique=True),
)
counters = Table("counters", metadata, Column("name", Text, primary_key=True), Column("value", Int, nullable=False))
events = Table("events", metadata, Column("number", Int, primary_key=True), Column("what", Text, nullable=False))


def make_store(place: str | Path, **options: Any) -> Store:
    """A store whose schema is the example."""
    store = open_store(place, metadata=metadata, **options)
    with store.begin() as tx:
        metadata.create_all(tx.connection)
    return store


def make_project(tx: Tx, project_id: str = "p1") -> str:
    tx.insert(projects, id=project_id, name=f"project {project_id}")
    return project_id


def make_server(tx: Tx, server_id: str, **values: Any) -> str:
    tx.insert(servers, **{"id": server_id, "name": f"server {server_id}", "created_at": NEW_YEAR} | values)
    return server_id


def names(store: Store) -> list[str]:
    with store.read() as tx:
        return [row["name"] for row in tx.find(servers)]


# ---------------------------------------------------------------------------------------- run as a program of its own


def count_up(store: Store, times: str) -> None:
    """Read, then write what was read plus one: the way to lose updates, if anything lets you."""
    for _ in range(int(times)):
        with store.begin() as tx:
            row = tx.get(counters, name="c")
            assert row
            tx.execute(update(counters).where(counters.c.name == "c").values(value=row["value"] + 1))


def count_aloud(store: Store) -> None:
    """Count up for ever and print each number once it is committed."""
    while True:
        with store.begin() as tx:
            row = tx.get(counters, name="c")
            assert row
            tx.update(counters, counters.c.name == "c", value=row["value"] + 1)
        print(row["value"] + 1, flush=True)


def write_and_hang(store: Store, when: str) -> None:
    """Hang in the middle of a transaction, or after its commit."""
    with store.begin() as tx:
        make_server(tx, "from another process")
        if when == "before the commit":
            hang()
    hang()


def hang() -> None:
    print("now", flush=True)
    time.sleep(600)


def migrate(place: str) -> None:
    open_store(place).migrate()


PROGRAMS: dict[str, Callable[..., None]] = {
    "count_up": count_up,
    "count_aloud": count_aloud,
    "write_and_hang": write_and_hang,
}

if __name__ == "__main__":
    _, what, where, *arguments = sys.argv
    if what == "migrate":
        migrate(where)
    else:
        PROGRAMS[what](open_store(where, metadata=metadata, lock_timeout=60), *arguments)
