"""The store as the network uses it: ids, stamps, and rows as they may be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Table

from sundog.control.network.refusals import missing
from sundog.control.store import Reader, Row, Store, Tx
from sundog.control.store.tables import network as tables
from sundog.control.viewer import Viewer
from sundog.errors import Unavailable
from sundog.runtime.clock import utcnow
from sundog.runtime.ids import Ids

Only: TypeAlias = Mapping[str, Sequence[Any]]
"""Columns and the values of which one must be there, for lists."""

MAC_BASE: Final = "fa:16:3e"
_TRIES: Final = 64


class Books:
    """Transactions on the tables of the network. ``ids`` gives new things their ids and MACs, ``now`` their times."""

    def __init__(self, store: Store, ids: Ids, now: Callable[[], datetime] = utcnow) -> None:
        self._store = store
        self.ids = ids
        self.now = now

    def reading(self) -> AbstractContextManager[Reader]:
        """One snapshot."""
        return self._store.read()

    @property
    def changes(self) -> int:
        """The same for as long as nothing has changed."""
        return self._store.changes

    def writing(self) -> AbstractContextManager[Tx]:
        """One transaction."""
        return self._store.begin()

    def standard(self, project_id: str, description: str = "") -> dict[str, Any]:
        """What every new row has, with an id as Neutron makes them: with hyphens."""
        now = self.now()
        return {
            "id": str(self.ids.uuid()),
            "project_id": project_id,
            "description": description,
            "tags": [],
            "revision_number": 0,
            "created_at": now,
            "updated_at": now,
        }

    def change(self, tx: Tx, table: Table, identifier: str, values: Mapping[str, Any]) -> None:
        """Set values of a row, which counts its revision up."""
        more = {"revision_number": table.c.revision_number + 1, "updated_at": self.now()}
        tx.update(table, table.c.id == identifier, **values, **more)

    def new_mac(self, tx: Tx, network_id: str) -> str:
        """A MAC that no port of the network has.

        Raises: Unavailable if none was found.
        """
        for _ in range(_TRIES):
            digits = self.ids.hex(6)
            mac = f"{MAC_BASE}:{digits[:2]}:{digits[2:4]}:{digits[4:]}"
            if tx.get(tables.ports, network_id=network_id, mac_address=mac) is None:
                return mac
        raise Unavailable(
            f"Unable to generate unique mac on network {network_id}.", type="NetworkMacAddressGenerationFailure"
        )


def chosen(table: Table, only: Only) -> list[ColumnElement[bool]]:
    """Conditions for the rows with one of the values in each of the columns."""
    return [table.c[name].in_(list(values)) for name, values in only.items()]


def owned(table: Table, viewer: Viewer) -> list[ColumnElement[bool]]:
    """Conditions for the rows of the viewer's project; none for who sees all."""
    return [] if viewer.sees_all else [table.c.project_id == viewer.project_id]


def found(reader: Reader, table: Table, kind: str, identifier: str, *where: ColumnElement[bool]) -> Row:
    """The row with this id, if it is one of those that meet ``where``.

    Raises: NotFound, in Neutron's words.
    """
    rows = reader.find(table, {"id": identifier}, *where)
    if not rows:
        raise missing(kind, identifier)
    return rows[0]


def grouped(rows: Iterable[Row], key: str) -> dict[str, list[Row]]:
    """Rows by the value of a column, in their order."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row)
    return groups
