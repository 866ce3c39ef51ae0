"""All of images: their records here, their members and data in parts of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Final

from sundog.control.image import books, listing
from sundog.control.image.data import Data
from sundog.control.image.files import ImageFiles
from sundog.control.image.listing import Wanted
from sundog.control.image.members import Members
from sundog.control.image.records import Image, NewImage
from sundog.control.image.settings import Settings
from sundog.control.image.states import ACTIVE, DEACTIVATED, DELETED, QUEUED, check_step
from sundog.control.principal import Principal
from sundog.control.store import Reader, Row, Store, Tx
from sundog.control.store.tables import image as tables
from sundog.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge
from sundog.runtime import clock
from sundog.runtime.ids import Ids

MOST_NUMBER: Final = 2**31 - 1
"""The most that ``min_disk`` (GiB) and ``min_ram`` (MiB) may be."""


class Images:
    """Images over a store and a folder of files. ``ids`` is where new ones get their ids from.

    Call :meth:`recover` once at the start, before anything else.
    """

    def __init__(self, store: Store, ids: Ids, files: ImageFiles, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self._store, self._ids, self._files = store, ids, files
        self.members = Members(store, self.settings)
        self.data = Data(store, ids, files, self.settings)

    def recover(self) -> int:
        """Take back what was under way when the process ended, and remove files of no image; how many those were."""
        return self.data.recover()

    def files(self) -> dict[str, list[str]]:
        """The names of the files of data that there are: ``images``, ``staged`` (to be imported), ``incoming``."""
        return self._files.names()

    def create(self, new: NewImage, *, tx: Tx | None = None) -> Image:
        """Make an image, without data, as a part of ``tx`` where that is given.

        Raises: Conflict if there is or was an image with the id; TooLarge for more properties or tags than are allowed;
        Invalid for a negative size.
        """
        now = clock.utcnow()
        image = Image(
            id=(new.id or str(self._ids.uuid())).lower(),
            status=QUEUED,
            name=new.name,
            owner=new.owner,
            visibility=new.visibility,
            protected=new.protected,
            os_hidden=new.os_hidden,
            disk_format=new.disk_format,
            container_format=new.container_format,
            min_disk=new.min_disk,
            min_ram=new.min_ram,
            size=None,
            virtual_size=None,
            checksum=None,
            os_hash_algo=None,
            os_hash_value=None,
            created_at=now,
            updated_at=now,
            properties=dict(new.properties),
            tags=tuple(sorted(set(new.tags))),
        )
        self._check(image)
        with nullcontext(tx) if tx is not None else self._store.begin() as tx:
            if tx.get(tables.images, id=image.id) is not None:
                raise Conflict(f"Image ID {image.id} already exists!", image=image.id)
            tx.insert(tables.images, **books.columns(image))
            _write_lists(tx, image)
        return image

    def show(self, who: Principal, image_id: str) -> Image:
        """An image.

        Raises: NotFound for one that is not there, or not for the caller.
        """
        with self._store.read() as reader:
            return books.image_of(reader, who, image_id)

    def list(self, who: Principal, wanted: Wanted) -> Sequence[Image]:
        """The images of a list, in its order.

        Raises: Invalid for a filter that cannot be understood, or a marker that the caller does not see.
        """
        where = listing.conditions(who, wanted)
        table = tables.images
        with self._store.read() as reader:
            if wanted.marker is not None:
                where.append(listing.after(_marker(reader, who, wanted.marker), wanted))
            rows = reader.find(table, *where, order_by=listing.ordering(wanted), limit=wanted.limit)
            return books.images_of(reader, who, rows)

    def update(self, who: Principal, image_id: str, changed: Callable[[Image], Image]) -> Image:
        """Make an image what ``changed`` makes of it.

        Raises: NotFound; TooLarge for more properties or tags than are allowed; Invalid for a negative size; and what
        ``changed`` raises.
        """
        with self._store.begin() as tx:
            before = books.image_of(tx, who, image_id)
            image = changed(before)
            if image == before:
                return before
            self._check(image)
            image = replace(image, updated_at=clock.utcnow())
            values = books.columns(image)
            tx.update(tables.images, tables.images.c.id == image_id, **values)
            for table in (tables.properties, tables.tags):
                tx.delete(table, table.c.image_id == image_id)
            _write_lists(tx, image)
            return books.image_of(tx, who, image_id)

    def delete(self, who: Principal, image_id: str, *, tx: Tx | None = None) -> None:
        """Delete an image and its data, as a part of ``tx`` where that is given.

        Data that are arriving are dropped when they have come to their end.

        Raises: NotFound; Forbidden for a protected image.
        """
        with nullcontext(tx) if tx is not None else self._store.begin() as tx:
            image = books.image_of(tx, who, image_id)
            if image.protected:
                raise Forbidden(f"Image {image_id} is protected and cannot be deleted.", image=image_id)
            check_step(image, DELETED)
            tx.update(tables.images, tables.images.c.id == image_id, status=DELETED, updated_at=clock.utcnow())
            for table in (tables.properties, tables.tags, tables.members, tables.tasks):
                tx.delete(table, table.c.image_id == image_id)
            tx.on_commit(lambda: self._files.remove(image_id))

    def deactivate(self, who: Principal, image_id: str) -> None:
        """Keep all but administrators from downloading an image. It may be so already.

        Raises: NotFound; Forbidden for an image without data.
        """
        self._step(who, image_id, ACTIVE, DEACTIVATED, "deactivate")

    def reactivate(self, who: Principal, image_id: str) -> None:
        """Let an image be downloaded again. It may be so already.

        Raises: NotFound; Forbidden for an image without data.
        """
        self._step(who, image_id, DEACTIVATED, ACTIVE, "reactivate")

    def add_tag(self, who: Principal, image_id: str, tag: str) -> None:
        """Put a tag on an image, which may have it already.

        Raises: NotFound; TooLarge for more tags than are allowed.
        """
        self.update(who, image_id, lambda image: replace(image, tags=tuple(sorted({*image.tags, tag}))))

    def remove_tag(self, who: Principal, image_id: str, tag: str) -> None:
        """Take a tag off an image.

        Raises: NotFound, also for a tag that it does not have.
        """

        def without(image: Image) -> Image:
            if tag not in image.tags:
                raise NotFound("The resource could not be found.", tag=tag)
            return replace(image, tags=tuple(each for each in image.tags if each != tag))

        self.update(who, image_id, without)

    def _step(self, who: Principal, image_id: str, before: str, after: str, verb: str) -> None:
        with self._store.begin() as tx:
            image = books.image_of(tx, who, image_id)
            if image.status == after:
                return
            if image.status != before:
                raise Forbidden(f"Not allowed to {verb} image in status '{image.status}'", image=image_id)
            tx.update(tables.images, tables.images.c.id == image_id, status=after, updated_at=clock.utcnow())

    def _check(self, image: Image) -> None:
        for name in ("min_disk", "min_ram"):
            value = getattr(image, name)
            if value < 0:
                raise Invalid(f"Invalid value '{value}' for parameter '{name}': Cannot be a negative value")
            if value > MOST_NUMBER:
                raise Invalid(f"Invalid value '{value}' for parameter '{name}': Cannot be more than {MOST_NUMBER}")
        for what, count, most in (
            ("properties", len(image.properties), self.settings.most_properties),
            ("tags", len(image.tags), self.settings.most_tags),
        ):
            if count > most:
                raise TooLarge(
                    f"The limit has been exceeded on the number of allowed image {what}. "
                    f"Attempted: {count}, Maximum: {most}",
                    attempted=count, maximum=most,
                )  # fmt: skip


def _write_lists(tx: Tx, image: Image) -> None:
    about = [{"image_id": image.id, "name": name, "value": value} for name, value in image.properties.items()]
    tx.insert_many(tables.properties, about)
    tx.insert_many(tables.tags, [{"image_id": image.id, "value": tag} for tag in image.tags])


def _marker(reader: Reader, who: Principal, marker: str) -> Row:
    table = tables.images
    rows = reader.find(table, table.c.id == marker, table.c.status != DELETED, books.visible(who))
    if not rows:
        raise Invalid(f"No image found with ID {marker}", marker=marker)
    return rows[0]
