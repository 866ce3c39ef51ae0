"""Rows of servers, for tests of what only counts or lists them."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

from sundog.control.compute.records import Flavor, ServerFlavor, flavor_columns
from sundog.control.store import Store
from sundog.control.store.tables import compute as tables

_NUMBERS = count(1)
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)


def add_host(store: Store, name: str, **values: Any) -> str:
    """A host; its uuid."""
    number = next(_NUMBERS)
    uuid = f"aaaaaaaa-0000-4000-8000-{number:012d}"
    row = {
        "uuid": uuid,
        "name": name,
        "service_id": f"bbbbbbbb-0000-4000-8000-{number:012d}",
        "disabled": False,
        "forced_down": False,
        "created_at": BEGIN,
        "updated_at": BEGIN,
    }
    with store.begin() as tx:
        tx.insert(tables.hosts, **(row | values))
    return uuid


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
        **flavor_columns(flavor),
    }
    with store.begin() as tx:
        tx.insert(tables.servers, **(row | values))
    return identifier
