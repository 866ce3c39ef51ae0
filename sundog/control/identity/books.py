"""The store as identity uses it: every write counts up a version, and what is missing or taken is said in one way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, NoReturn, TypeVar

from sqlalchemy import Table, select

from sundog.control.identity.records import record
from sundog.control.store import Reader, Row, Store, Tx
from sundog.control.store.tables import identity as tables
from sundog.errors import Conflict, Forbidden, NotFound
from sundog.runtime.ids import Ids

T = TypeVar("T")

_VERSION: Final = "version"


class Books:
    """Transactions on the tables of identity. ``ids`` gives new things their ids."""

    def __init__(self, store: Store, ids: Ids) -> None:
        self._store = store
        self.ids = ids

    def new_id(self) -> str:
        """An id as Keystone makes them: 32 hexadecimal digits."""
        return self.ids.uuid().hex

    def reading(self) -> AbstractContextManager[Reader]:
        """One snapshot."""
        return self._store.read()

    @contextmanager
    def writing(self) -> Iterator[Tx]:
        """A transaction at whose end the version has gone up, so that what was known of tokens counts no longer."""
        with self._store.begin() as tx:
            yield tx
            if not tx.update(tables.state, tables.state.c.key == _VERSION, value=tables.state.c.value + 1):
                tx.insert(tables.state, key=_VERSION, value=1)


def version_of(reader: Reader) -> int:
    """How many writes there have been; by whatever process."""
    found = reader.execute(_VERSION_QUERY).first()
    return int(found[0]) if found else 0


_VERSION_QUERY: Final = select(tables.state.c.value).where(tables.state.c.key == _VERSION)


def found(reader: Reader, table: Table, what: str, identifier: str) -> Row:
    """The row with this id.

    Raises: NotFound, in Keystone's words.
    """
    row = reader.get(table, id=identifier)
    if row is None:
        raise missing(what, identifier)
    return row


def found_as(reader: Reader, kind: type[T], table: Table, what: str, identifier: str) -> T:
    """:func:`found`, as a record."""
    return record(kind, found(reader, table, what, identifier))


def missing(what: str, identifier: str) -> NotFound:
    """The error for something that is not there."""
    return NotFound(f"Could not find {what}: {identifier}.", what=what, id=identifier)


def taken(what: str, detail: str) -> NoReturn:
    """Raises: Conflict."""
    raise Conflict(f"Conflict occurred attempting to store {what} - {detail}.", what=what)


def refuse(action: str) -> NoReturn:
    """Raises: Forbidden, for what nobody may do."""
    raise Forbidden(f"You are not authorized to perform the requested action: {action}.", action=action)


def merged(current: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``current`` with ``changes``, of which those to None are taken out."""
    return {key: value for key, value in {**current, **changes}.items() if value is not None}


def check_name(reader: Reader, table: Table, what: str, name: str, domain_id: str, but: str | None = None) -> None:
    """Raises: Conflict if another thing in the domain than ``but`` has the name."""
    other = reader.get(table, domain_id=domain_id, name=name)
    if other is not None and other["id"] != but:
        where = f" at domain ID {domain_id}" if domain_id else ""
        taken(what, f"Duplicate entry found with name {name}{where}")


def check_mutable(
    what: str, identifier: str, options: Mapping[str, Any], changes: Mapping[str, Any] | None = None
) -> None:
    """Raises: Forbidden for changing or deleting what is marked immutable; a change may take the mark away."""
    if options.get("immutable") and not (changes and (changes.get("options") or {}).get("immutable") is False):
        verb = "update" if changes is not None else "delete"
        raise Forbidden(f"Cannot {verb} {what} {identifier}. The resource is immutable.", what=what, id=identifier)
