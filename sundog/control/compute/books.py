"""The store as compute uses it: ids, stamps, and servers as they may be seen and changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, String, select, type_coerce

from sundog.control.compute import console_tokens
from sundog.control.compute.records import (
    Action,
    Fault,
    Migration,
    Server,
    ServerFlavor,
    ServerImage,
    as_json,
    names_of,
    record,
)
from sundog.control.store import Reader, Row, Store, Tx
from sundog.control.store.tables import compute as tables
from sundog.control.viewer import Viewer
from sundog.errors import NotFound
from sundog.runtime.clock import utcnow
from sundog.runtime.ids import Ids

Moved = Callable[[str, str | None, str | None], None]
"""``(server group, old host, new host)``: a member of a group came, left or went elsewhere."""


class Books:
    """Transactions on the tables of compute. ``ids`` gives new things their ids, ``now`` their times.

    ``moved`` is told when a member of a server group changes its host, after the commit.
    """

    def __init__(self, store: Store, ids: Ids, now: Callable[[], datetime] = utcnow) -> None:
        self._store = store
        self.ids = ids
        self.now = now
        self.moved: Moved = lambda group_id, old, new: None

    def reading(self) -> AbstractContextManager[Reader]:
        """One snapshot."""
        return self._store.read()

    def writing(self) -> AbstractContextManager[Tx]:
        """One transaction."""
        return self._store.begin()

    def new_uuid(self) -> str:
        """An id as Nova makes them: with hyphens."""
        return str(self.ids.uuid())

    def fault(self, message: str, details: str = "") -> dict[str, Any]:
        """Why a server is in ERROR, as it is stored."""
        return {"code": 500, "message": message, "created": self.now().isoformat(), "details": details}

    def change(self, tx: Tx, server: Server, **values: Any) -> None:
        """Set columns of a server. One whose tags, metadata or the like are records is given them as records."""
        values = columns_of(values)
        console_tokens.end(tx, server, values)
        tx.update(tables.servers, {"id": server.id}, updated_at=self.now(), **values)
        if server.group_id is not None and ("host" in values or values.get("deleted_at") is not None):
            new = None if values.get("deleted_at") is not None else values.get("host", server.host)
            group, old = server.group_id, server.host
            if old != new:
                tx.on_commit(lambda: self.moved(group, old, new))


def columns_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a server as columns; those of its flavor that quotas sum up stand beside it."""
    columns = {name: _stored(value) for name, value in values.items()}
    if "flavor" in columns:
        columns |= {name: columns["flavor"][name] for name in ("vcpus", "memory_mb")}
    return columns


def _stored(value: Any) -> Any:
    return as_json(value) if is_dataclass(value) and not isinstance(value, type) else value


def find_servers(
    reader: Reader,
    *where: ColumnElement[bool],
    order_by: Sequence[ColumnElement[Any]] | None = None,
    limit: int | None = None,
) -> list[Server]:
    """The servers that meet ``where``, in the order in which they were made unless another is told."""
    order = [tables.servers.c.number] if order_by is None else order_by
    rows = reader.execute(select(*_COLUMNS).where(*where).order_by(*order).limit(limit)).all()
    tags = _tags(reader, [row[0] for row in rows])
    known: dict[str, Any] = {}
    return [_server(row, tags.get(row[0], ()), known) for row in rows]


def _tags(reader: Reader, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    # For more than these many, reading all is as fast as naming each.
    where = [] if len(ids) > 500 else [{"server_id": ids}]
    for row in reader.find(tables.server_tags, *where) if ids else ():
        found[row["server_id"]] = (*found.get(row["server_id"], ()), row["tag"])
    return found


_JSON: Final = ("flavor", "image", "fault", "kept")
"""Columns that are more than plain values; they are read as texts, and each text but once for a page of servers."""

_FIELDS: Final = [each.name for each in fields(Server) if each.name != "tags"]
_COLUMNS: Final = [
    type_coerce(tables.servers.c[name], String) if name in _JSON else tables.servers.c[name] for name in _FIELDS
]
_AT: Final = {name: _FIELDS.index(name) for name in _JSON}


def _server(row: Sequence[Any], tags: tuple[str, ...], known: dict[str, Any]) -> Server:
    """A row of ``_COLUMNS`` as a server; ``known`` has the flavors and images of those before, which are mostly its."""
    values = [*row, tags]
    for name, kind in (("flavor", ServerFlavor), ("image", ServerImage)):
        text = values[_AT[name]]
        if text not in known:
            told = None if text is None else json.loads(text)
            known[text] = kind(**told) if told else None
        values[_AT[name]] = known[text]
    fault, kept = values[_AT["fault"]], values[_AT["kept"]]
    values[_AT["fault"]] = None if fault is None else Fault(**json.loads(fault))
    values[_AT["kept"]] = {} if kept is None else json.loads(kept)
    return Server(*values)


def get_server(reader: Reader, viewer: Viewer, server_id: str, *, deleted: bool = False, tags: bool = True) -> Server:
    """A server; with ``deleted`` also one that is deleted, without ``tags`` as if it had none.

    Raises: NotFound for one that is not there, or another project's.
    """
    row = reader.get(tables.servers, id=server_id)
    hidden = row is None or not (viewer.sees_all or row["project_id"] == viewer.project_id)
    if row is None or hidden or (row["deleted_at"] is not None and not deleted):
        raise no_server(server_id)
    return _one(row, _tags(reader, [server_id]).get(server_id, ()) if tags else ())


def _one(row: Row, tags: tuple[str, ...]) -> Server:
    """A whole row as a server."""
    values = {name: row[name] for name in _FIELDS if name not in _JSON}
    return Server(
        **values,
        fault=None if row["fault"] is None else Fault(**row["fault"]),
        flavor=ServerFlavor(**row["flavor"]),
        image=ServerImage(**row["image"]) if row["image"] else None,
        kept=row["kept"] or {},
        tags=tags,
    )


def servers_on(reader: Reader, host: str) -> list[Server]:
    """The servers whose host is this one, without their tags, in the order in which they were made."""
    return [_one(row, ()) for row in reader.find(tables.servers, {"host": host, "deleted_at": None})]


def no_server(server_id: str) -> NotFound:
    """There is no such server, or nobody may know."""
    return NotFound(f"Instance {server_id} could not be found.", server=server_id)


def action_of(row: Row) -> Action:
    """A row as an action."""
    return record(Action, row)


def migration_of(row: Row) -> Migration:
    """A row as a migration."""
    return record(
        Migration,
        row,
        old_flavor=ServerFlavor(**row["old_flavor"]),
        new_flavor=ServerFlavor(**row["new_flavor"]),
    )


def values_of(record_: Any) -> Mapping[str, Any]:
    """A record as the columns of its table."""
    return {name: _stored(getattr(record_, name)) for name in names_of(type(record_))}
