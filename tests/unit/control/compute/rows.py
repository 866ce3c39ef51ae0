"""Stores in memory and rows in them, for tests of what only counts or lists servers."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from itertools import count
from typing import Any

from sundog.control.compute.books import columns_of
from sundog.control.compute.records import Flavor, ServerFlavor
from sundog.control.store import Store, open_store
from sundog.control.store.tables import compute as tables

_NUMBERS = count(1)
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)


def fresh_store() -> Store:
    """A store in memory whose tables are up to date: migrated once, and copied since."""
    store = open_store(":memory:")
    store._connection.connection.driver_connection.deserialize(_migrated())  # type: ignore[union-attr]
    return store


@functools.cache
def _migrated() -> bytes:
    store = open_store(":memory:")
    store.migrate()
    data: bytes = store._connection.connection.driver_connection.serialize()  # type: ignore[union-attr]
    store.close()
    return data


def add_server(store: Store, *, vcpus: int = 1, memory_mb: int = 512, **values: Any) -> str:
    """A server; its id."""
    number = next(_NUMBERS)
    identifier = f"cccccccc-0000-4000-8000-{number:012d}"
    flavor = ServerFlavor.of(Flavor("1", "m1.tiny", vcpus, memory_mb, 1))
    row = {
        "id": identifier,
        "project_id": "project-a",
        "user_id": "u1",
        "name": f"server-{number}",
        "hostname": f"server-{number}",
        "reservation_id": "r-1",
        "launch_index": 0,
        "vm_state": "active",
        "power_state": 1,
        "progress": 0,
        "generation": 1,
        "hints": {},
        "image": {},
        "config_drive": False,
        "disk_config": "MANUAL",
        "root_device_name": "/dev/vda",
        "metadata": {},
        "created_at": BEGIN,
        "updated_at": BEGIN,
        "launched_at": BEGIN,
        **columns_of({"flavor": flavor}),
    }
    with store.begin() as tx:
        tx.insert(tables.servers, **(row | values))
    return identifier
