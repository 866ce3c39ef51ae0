"""Usage over time: how long servers were there, and how large they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import or_

from sundog.control.compute.books import Books
from sundog.control.store import Row
from sundog.control.store.tables import compute as tables
from sundog.errors import Invalid

_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class ServerUsage:
    """What a server used in a period. ``hours`` are those of the period, ``uptime_s`` those of its whole life."""

    id: str
    name: str
    project_id: str
    flavor: str
    vcpus: int
    memory_mb: int
    local_gb: int
    state: str
    started_at: datetime
    ended_at: datetime | None
    hours: float
    uptime_s: int


class Usages:
    """What projects have used."""

    def __init__(self, books: Books) -> None:
        self._books = books

    @property
    def now(self) -> datetime:
        """What time it is: usage ends there."""
        return self._books.now()

    def over(
        self,
        begin: datetime,
        end: datetime,
        *,
        project_id: str | None = None,
        marker: str | None = None,
        limit: int | None = None,
    ) -> list[ServerUsage]:
        """The servers that were there in a period, of a project or all; by project, then in the order they were made.

        ``marker`` is the id of the last server of the page before. Raises: Invalid for a marker that is none of them.
        """
        table = tables.servers
        where = [
            table.c.launched_at.is_not(None),
            table.c.launched_at < end,
            or_(table.c.terminated_at.is_(None), table.c.terminated_at > begin),
        ]
        if project_id is not None:
            where.append(table.c.project_id == project_id)
        with self._books.reading() as tx:
            if marker is not None:
                after = tx.get(table, id=marker)
                if after is None or project_id not in (None, after["project_id"]):
                    raise Invalid(f"Marker {marker} could not be found.", marker=marker)
                later = (table.c.project_id == after["project_id"]) & (table.c.number > after["number"])
                where.append(or_(table.c.project_id > after["project_id"], later))
            rows = tx.find(table, *where, order_by=(table.c.project_id, table.c.number), limit=limit)
        return [_usage(row, begin, end, self._books.now()) for row in rows]


def by_project(usages: Sequence[ServerUsage]) -> dict[str, list[ServerUsage]]:
    """Usages by project, in their order."""
    found: dict[str, list[ServerUsage]] = {}
    for each in usages:
        found.setdefault(each.project_id, []).append(each)
    return found


def _usage(row: Row, begin: datetime, end: datetime, now: datetime) -> ServerUsage:
    started, ended = row["launched_at"], row["terminated_at"]
    within = min(end, ended or end) - max(begin, started)
    flavor = row["flavor"]
    return ServerUsage(
        id=row["id"],
        name=row["name"],
        project_id=row["project_id"],
        flavor=flavor["name"],
        vcpus=flavor["vcpus"],
        memory_mb=flavor["memory_mb"],
        local_gb=flavor["root_gb"] + flavor["ephemeral_gb"],
        state="terminated" if ended is not None else row["vm_state"],
        started_at=started,
        ended_at=ended,
        hours=max(0.0, within.total_seconds() / _HOUR),
        uptime_s=int(((ended or now) - started).total_seconds()),
    )
