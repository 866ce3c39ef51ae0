"""Reading and writing the books. Whose images a caller may see is decided here, where rows are read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, bindparam, exists, or_, select, true

from sundog.control.image.records import Image, Member, Task
from sundog.control.image.states import DELETED
from sundog.control.principal import Principal
from sundog.control.store import Reader, Row
from sundog.control.store.store import Where
from sundog.control.store.tables import image as tables
from sundog.errors import NotFound

OPEN: Final = ("public", "community")
"""Visibilities of images that everybody may see."""

_COLUMNS: Final = [each.name for each in fields(Image) if each.name in tables.images.c]


def visible(who: Principal, member_status: str | None = None) -> Where:
    """The images that a caller may see. ``member_status`` is what they must have said to those of others.

    Administrators see all.
    """
    return true() if who.is_admin else _visible_to(who.project_id or "", member_status)


def _visible_to(project_id: str | ColumnElement[str], member_status: str | None = None) -> Where:
    images, members = tables.images.c, tables.members.c
    shared = [members.image_id == images.id, members.member_id == project_id]
    if member_status is not None:
        shared.append(members.status == member_status)
    return or_(
        *(images.visibility == each for each in OPEN),
        images.owner == project_id,
        and_(images.visibility == "shared", exists().where(*shared)),
    )


def missing(image_id: str) -> NotFound:
    """The error for an image that is not there, or not for the caller."""
    return NotFound(f"No image found with ID {image_id}", image=image_id)


def image_of(reader: Reader, who: Principal, image_id: str) -> Image:
    """An image that the caller may see.

    Raises: NotFound for any other.
    """
    if who.is_admin:
        rows = reader.rows(_ONE, image=image_id)
    else:
        rows = reader.rows(_ONE_OF_PROJECT, image=image_id, project=who.project_id or "")
    if not rows:
        raise missing(image_id)
    return images_of(reader, who, rows)[0]


_ONE: Final = select(tables.images).where(tables.images.c.id == bindparam("image"), tables.images.c.status != DELETED)
_ONE_OF_PROJECT: Final = _ONE.where(_visible_to(bindparam("project", type_=tables.images.c.owner.type)))


def any_image(reader: Reader, image_id: str) -> Image | None:
    """An image, whoever may see it; None if it is not there. For what Sundog does by itself."""
    row = reader.get(tables.images, id=image_id)
    if row is None or row["status"] == DELETED:
        return None
    return _image(row, {}, (), None)


def images_of(reader: Reader, who: Principal, rows: Sequence[Row]) -> list[Image]:
    """The images of these rows, with what is told of them."""
    ids = [row["id"] for row in rows]
    properties: dict[str, dict[str, str]] = {}
    tags: dict[str, list[str]] = {}
    for some in _portions(ids):
        for row in reader.find(tables.properties, {"image_id": some}):
            properties.setdefault(row["image_id"], {})[row["name"]] = row["value"]
        for row in reader.find(tables.tags, {"image_id": some}):
            tags.setdefault(row["image_id"], []).append(row["value"])
    return [
        _image(row, properties.get(row["id"], {}), tuple(tags.get(row["id"], ())), _member_id(who, row)) for row in rows
    ]


def columns(image: Image) -> dict[str, Any]:
    """An image as values of its table."""
    return {name: getattr(image, name) for name in _COLUMNS}


def member(row: Row) -> Member:
    """The record of a row."""
    return Member(**{each.name: row[each.name] for each in fields(Member)})


def task(row: Row) -> Task:
    """The record of a row."""
    return Task(**{each.name: row[each.name] for each in fields(Task)})


def _image(row: Row, properties: dict[str, str], tags: tuple[str, ...], member_id: str | None) -> Image:
    return Image(**{name: row[name] for name in _COLUMNS}, properties=properties, tags=tags, member_id=member_id)


def _member_id(who: Principal, row: Row) -> str | None:
    """The caller, if they see the image because it was shared with them."""
    others = row["visibility"] == "shared" and row["owner"] != who.project_id
    return who.project_id if others and not who.is_admin else None


def _portions(ids: Iterable[str], most: int = 500) -> Iterable[list[str]]:
    """Databases take no more than so many values in one statement."""
    every = list(ids)
    return (every[i : i + most] for i in range(0, len(every), most))
