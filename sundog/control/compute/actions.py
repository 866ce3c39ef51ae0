"""Actions: what was asked of servers, written down before anything happens, and how far it got.

An action is in the phase ``doing`` until it has happened, ``undoing`` from the moment at which it is known that it will
not, and ``done`` at the end of either. So whoever finds one that is not done knows what is left to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sundog.control.compute.books import Books, action_of
from sundog.control.compute.records import Action, ActionEvent, Caller, Server, record
from sundog.control.store import Reader, Tx
from sundog.control.store.tables import compute as tables
from sundog.errors import Invalid, NotFound, SundogError

DOING: Final = "doing"
UNDOING: Final = "undoing"
DONE: Final = "done"

SUCCESS: Final = "Success"
ERROR: Final = "Error"


@dataclass(frozen=True, slots=True)
class ActionQuery:
    """Which actions of a server: those updated in a span, and which page; ``marker`` is a request id."""

    changes_since: datetime | None = None
    changes_before: datetime | None = None
    limit: int | None = None
    marker: str | None = None


class Actions:
    """Reading what was asked of servers."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def list_all(self, server_id: str, query: ActionQuery | None = None) -> list[Action]:
        """The actions of a server, the newest first.

        Raises: Invalid for a marker that is none of them.
        """
        query = query or ActionQuery()
        c = tables.actions.c
        where = [c.server_id == server_id]
        if query.changes_since is not None:
            where.append(c.updated_at >= query.changes_since)
        if query.changes_before is not None:
            where.append(c.updated_at <= query.changes_before)
        with self._books.reading() as tx:
            if query.marker is not None:
                found = tx.find(tables.actions, c.server_id == server_id, c.request_id == query.marker)
                if not found:
                    raise Invalid(f"Marker {query.marker} could not be found.", marker=query.marker)
                where.append(c.number < found[0]["number"])
            rows = tx.find(tables.actions, *where, order_by=c.number.desc(), limit=query.limit)
            return [action_of(row) for row in rows]

    def show(self, server_id: str, request_id: str) -> Action:
        """What a request asked of a server.

        Raises: NotFound.
        """
        c = tables.actions.c
        with self._books.reading() as tx:
            rows = tx.find(tables.actions, c.server_id == server_id, c.request_id == request_id)
        if not rows:
            raise NotFound(
                f"Action for request_id {request_id} on instance {server_id} not found", request=request_id
            )  # fmt: skip
        return action_of(rows[-1])

    def events(self, action: Action) -> list[ActionEvent]:
        """The steps of an action, the newest first."""
        c = tables.action_events.c
        with self._books.reading() as tx:
            rows = tx.find(tables.action_events, c.action_number == action.number, order_by=c.number.desc())
        return [record(ActionEvent, row) for row in rows]


def new_action(
    tx: Tx,
    books: Books,
    caller: Caller,
    server: Server,
    action: str,
    *,
    args: Mapping[str, Any],
    phase: str = DOING,
    message: str | None = None,
) -> Action:
    """Write down what was asked. One that needs no work is ``done`` at once."""
    now = books.now()
    values: dict[str, Any] = {
        "server_id": server.id,
        "request_id": caller.request_id,
        "action": action,
        "user_id": caller.user_id,
        "project_id": caller.project_id,
        "message": message,
        "started_at": now,
        "updated_at": now,
        "finished_at": now if phase == DONE else None,
        "args": dict(args),
        "phase": phase,
    }
    return Action(number=tx.insert_numbered(tables.actions, **values), **values)


def begin_event(tx: Tx, books: Books, action: Action, name: str, host: str | None) -> None:
    """A step of an action begins."""
    tx.insert(
        tables.action_events, action_number=action.number, name=name, host=host, started_at=books.now(),
        finished_at=None, result=None, details=None,
    )  # fmt: skip


def end_events(tx: Tx, books: Books, action: Action, *, failure: str | None = None) -> None:
    """The steps of an action that are under way end, well or not."""
    tx.update(
        tables.action_events, {"action_number": action.number, "finished_at": None}, finished_at=books.now(),
        result=SUCCESS if failure is None else ERROR, details=failure,
    )  # fmt: skip


class Superseded(SundogError):
    """An action is done already, since something else took its place: whoever carries it out must stop."""


def set_action(tx: Tx, books: Books, action: Action, **values: Any) -> Action:
    """Change an action that is not done: its ``phase``, ``args`` or ``message``; how it is then.

    Raises: Superseded if it is done.
    """
    now = books.now()
    values["updated_at"] = now
    if values.get("phase") == DONE:
        values["finished_at"] = now
    if not tx.update(tables.actions, {"number": action.number, "phase": (DOING, UNDOING)}, **values):
        raise Superseded(f"action {action.number} was superseded", action=action.number)
    return replace(action, **values)


def supersede(tx: Tx, books: Books, server_id: str, why: str) -> Sequence[Action]:
    """End what is under way on a server, since something else takes its place; what that was."""
    ended = unfinished(tx, server_id)
    for action in ended:
        end_events(tx, books, action, failure=why)
        set_action(tx, books, action, phase=DONE, message=why)
    return ended


def unfinished(reader: Reader, server_id: str | None = None) -> Sequence[Action]:
    """Actions that are not done, of a server or of all, in the order in which they were asked."""
    mine = {} if server_id is None else {"server_id": server_id}
    return [action_of(row) for row in reader.find(tables.actions, {"phase": (DOING, UNDOING), **mine})]
