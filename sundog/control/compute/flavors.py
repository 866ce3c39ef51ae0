"""Flavors: what sizes servers come in, and which projects may use those that are not for everybody."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from sqlalchemy import exists, or_

from sundog.control.compute.books import Books
from sundog.control.compute.records import Flavor, record
from sundog.control.store import Reader, Row, Tx
from sundog.control.store.store import Where
from sundog.control.store.tables import compute as tables
from sundog.control.viewer import Viewer
from sundog.errors import Conflict, Invalid, NotFound

SORT_KEYS: Final = {
    "created_at": "created_at",
    "description": "description",
    "disabled": "disabled",
    "ephemeral_gb": "ephemeral_gb",
    "flavorid": "id",
    "id": "number",
    "is_public": "is_public",
    "memory_mb": "memory_mb",
    "name": "name",
    "root_gb": "root_gb",
    "rxtx_factor": "rxtx_factor",
    "swap": "swap_mb",
    "updated_at": "updated_at",
    "vcpu_weight": None,
    "vcpus": "vcpus",
}
"""Fields by the names that clients sort by. Nothing has a weight."""

# A pattern that can take long to match is not taken: it would hold up everybody.
_PATTERN: Final = re.compile(r"\^?(?:[\w \-./:@,]|\\[^\w]|\.\*)*\$?")
_MOST_STARS: Final = 4


@dataclass(frozen=True, slots=True)
class FlavorQuery:
    """Which flavors, in which order, and which page of them. ``name`` is a pattern that matches anywhere.

    ``is_public`` True includes those that the viewer's project was given access to; None is all.
    """

    is_public: bool | None = True
    disabled: bool | None = None
    least_memory_mb: int = 0
    least_root_gb: int = 0
    name: str | None = None
    sort_key: str = "flavorid"
    descending: bool = False
    marker: str | None = None
    limit: int | None = None


class Flavors:
    """The flavors, as they may be seen: by who is no administrator only public ones and those of their project."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def list_all(self, viewer: Viewer, query: FlavorQuery | None = None) -> list[Flavor]:
        """A page of the flavors.

        Raises: Invalid for a marker that is none of them, or a pattern that is not taken.
        """
        query = query or FlavorQuery()
        table, pattern = tables.flavors, _pattern(query.name)
        where = [table.c.memory_mb >= query.least_memory_mb, table.c.root_gb >= query.least_root_gb]
        if query.is_public is not None:
            same = table.c.is_public.is_(query.is_public)
            where.append(or_(same, _given_to(viewer.project_id)) if query.is_public else same)
        if query.disabled is not None:
            where.append(table.c.disabled.is_(query.disabled))
        with self._books.reading() as tx:
            rows = tx.find(table, *where, *_visible(viewer))
        every = [_flavor(row) for row in rows if pattern is None or pattern.search(row["name"])]
        return _page(_sorted(every, query.sort_key, query.descending), query.marker, query.limit)

    def show(self, viewer: Viewer, flavor_id: str) -> Flavor:
        """A flavor by what clients call its id.

        Raises: NotFound.
        """
        with self._books.reading() as tx:
            return flavor_of(tx, viewer, flavor_id)

    def create(self, flavor: Flavor) -> Flavor:
        """Make a flavor; one without an id gets one.

        Raises: Conflict for a name or an id that another has.
        """
        values = {each.name: getattr(flavor, each.name) for each in fields(flavor) if each.name != "number"}
        values |= {"created_at": self._books.now(), "updated_at": None, "extra_specs": dict(flavor.extra_specs)}
        values["id"] = flavor.id or str(self._books.ids.uuid())
        with self._books.writing() as tx:
            if tx.get(tables.flavors, name=flavor.name) is not None:
                raise Conflict(f"Flavor with name {flavor.name} already exists.", name=flavor.name)
            if tx.get(tables.flavors, id=values["id"]) is not None:
                raise Conflict(f"Flavor with ID {values['id']} already exists.", flavor=values["id"])
            tx.insert(tables.flavors, **values)
            return _flavor(_row(tx, values["id"]))

    def update(self, flavor_id: str, description: str | None) -> Flavor:
        """Describe a flavor anew.

        Raises: NotFound.
        """
        return self._change(flavor_id, lambda _flavor: {"description": description})

    def delete(self, flavor_id: str) -> None:
        """Delete a flavor. Servers keep what they have of it.

        Raises: NotFound.
        """
        with self._books.writing() as tx:
            number = _row(tx, flavor_id)["number"]
            tx.delete(tables.flavor_access, tables.flavor_access.c.flavor_number == number)
            tx.delete(tables.flavors, tables.flavors.c.number == number)

    def set_specs(self, flavor_id: str, specs: Mapping[str, str]) -> Flavor:
        """Add extra specs, or change those that are there.

        Raises: NotFound.
        """
        return self._change(flavor_id, lambda flavor: {"extra_specs": {**flavor.extra_specs, **specs}})

    def delete_spec(self, flavor_id: str, key: str) -> None:
        """Remove an extra spec.

        Raises: NotFound.
        """

        def without(flavor: Flavor) -> dict[str, Any]:
            if key not in flavor.extra_specs:
                raise no_spec(flavor_id, key)
            return {"extra_specs": {name: value for name, value in flavor.extra_specs.items() if name != key}}

        self._change(flavor_id, without)

    def access(self, flavor_id: str) -> list[str]:
        """The projects that were given access to a flavor.

        Raises: NotFound.
        """
        with self._books.reading() as tx:
            return _access(tx, _row(tx, flavor_id)["number"])

    def add_access(self, flavor_id: str, project_id: str, *, public_too: bool = False) -> list[str]:
        """Give a project access; the projects that have it then.

        Raises: NotFound; Conflict if the project has it already, or unless ``public_too`` if everybody has.
        """
        with self._books.writing() as tx:
            row = _row(tx, flavor_id)
            if row["is_public"] and not public_too:
                raise Conflict("Can not add access to a public flavor.", flavor=flavor_id)
            key = {"flavor_number": row["number"], "project_id": project_id}
            if tx.get(tables.flavor_access, **key) is not None:
                raise Conflict(
                    f"Flavor access already exists for flavor {flavor_id} and project {project_id} combination.",
                    flavor=flavor_id,
                )
            tx.insert(tables.flavor_access, **key)
            return _access(tx, row["number"])

    def remove_access(self, flavor_id: str, project_id: str) -> list[str]:
        """Take access away from a project; the projects that still have it.

        Raises: NotFound, also for a project that has none.
        """
        table = tables.flavor_access
        with self._books.writing() as tx:
            number = _row(tx, flavor_id)["number"]
            if not tx.delete(table, table.c.flavor_number == number, table.c.project_id == project_id):
                raise NotFound(f"Flavor access not found for {flavor_id} / {project_id} combination.", flavor=flavor_id)
            return _access(tx, number)

    def _change(self, flavor_id: str, changes: Any) -> Flavor:
        with self._books.writing() as tx:
            flavor = _flavor(_row(tx, flavor_id))
            values = {**changes(flavor), "updated_at": self._books.now()}
            tx.update(tables.flavors, tables.flavors.c.number == flavor.number, **values)
            return replace(flavor, **values)


def flavor_of(reader: Reader, viewer: Viewer, flavor_id: str) -> Flavor:
    """A flavor that the viewer may see.

    Raises: NotFound for any other.
    """
    table = tables.flavors
    rows = reader.find(table, table.c.id == flavor_id, *_visible(viewer))
    if not rows:
        raise missing(flavor_id)
    return _flavor(rows[0])


def missing(flavor_id: str) -> NotFound:
    """The error for a flavor that is not there, or not for the viewer."""
    return NotFound(f"Flavor {flavor_id} could not be found.", flavor=flavor_id)


def no_spec(flavor_id: str, key: str) -> NotFound:
    """The error for an extra spec that is not there."""
    return NotFound(f"Flavor {flavor_id} has no extra specs with key {key}.", flavor=flavor_id, key=key)


def _visible(viewer: Viewer) -> list[Where]:
    return [] if viewer.sees_all else [or_(tables.flavors.c.is_public.is_(True), _given_to(viewer.project_id))]


def _given_to(project_id: str | None) -> Where:
    access = tables.flavor_access.c
    return exists().where(access.flavor_number == tables.flavors.c.number, access.project_id == (project_id or ""))


def _row(tx: Reader | Tx, flavor_id: str) -> Row:
    row = tx.get(tables.flavors, id=flavor_id)
    if row is None:
        raise missing(flavor_id)
    return row


def _flavor(row: Row) -> Flavor:
    return record(Flavor, row)


def _access(reader: Reader, number: int) -> list[str]:
    table = tables.flavor_access
    return [row["project_id"] for row in reader.find(table, table.c.flavor_number == number)]


def _pattern(text: str | None) -> re.Pattern[str] | None:
    if not text:
        return None
    if not _PATTERN.fullmatch(text) or text.count("*") > _MOST_STARS:
        raise Invalid(f"The pattern {text[:255]!r} is not taken; use plain characters, '.', '.*', '^' and '$'")
    return re.compile(text)


def _sorted(every: list[Flavor], sort_key: str, descending: bool) -> list[Flavor]:
    field = SORT_KEYS[sort_key]

    def key(flavor: Flavor) -> tuple[bool, Any, int]:
        value = None if field is None else getattr(flavor, field)
        return (value is not None, 0 if value is None else value, flavor.number)

    return sorted(every, key=key, reverse=descending)


def _page(every: Sequence[Flavor], marker: str | None, limit: int | None) -> list[Flavor]:
    begin = 0
    if marker is not None:
        begin = next((number + 1 for number, each in enumerate(every) if each.id == marker), -1)
        if begin < 0:
            raise Invalid(f"marker [{marker}] not found", marker=marker)
    return list(every[begin:] if limit is None else every[begin : begin + limit])
