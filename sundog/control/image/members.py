"""With whom an image is shared, and what they say to it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Final

from sundog.control.image import books
from sundog.control.image.records import Image, Member
from sundog.control.image.settings import Settings
from sundog.control.principal import Principal
from sundog.control.store import Reader, Store, Tx
from sundog.control.store.store import Where
from sundog.control.store.tables import image as tables
from sundog.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge
from sundog.runtime import clock

STATUSES: Final = ("pending", "accepted", "rejected")


class Members:
    """The members of shared images. The owner of an image sees all of them, a member itself alone."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings

    def add(self, who: Principal, image_id: str, member_id: str, *, tx: Tx | None = None) -> Member:
        """Share an image with a project, as a part of ``tx`` where that is given.

        Raises: NotFound; Forbidden for an image that is not shared; Conflict if it is shared with it already; TooLarge
        for more members than are allowed.
        """
        with nullcontext(tx) if tx is not None else self._store.begin() as tx:
            image = _shared(tx, who, image_id)
            if tx.get(tables.members, image_id=image_id, member_id=member_id) is not None:
                raise Conflict(f"Member {member_id} is duplicated for image {image_id}", member=member_id)
            count, most = tx.count(tables.members, tables.members.c.image_id == image_id), self._settings.most_members
            if count >= most:
                raise TooLarge(
                    f"Image member limit exceeded for image {image_id}: The limit has been exceeded on the number of "
                    f"allowed image members for this image. Attempted: {count + 1}, Maximum: {most}:",
                    attempted=count + 1, maximum=most,
                )  # fmt: skip
            now = clock.utcnow()
            member = Member(image.id, member_id, "pending", now, now)
            tx.insert(
                tables.members,
                image_id=image.id, member_id=member_id, status=member.status, created_at=now, updated_at=now,
            )  # fmt: skip
        return member

    def list(self, who: Principal, image_id: str) -> Sequence[Member]:
        """The members of an image that the caller may know of.

        Raises: NotFound; Forbidden for an image that is not shared.
        """
        with self._store.read() as reader:
            image = _shared(reader, who, image_id)
            return [books.member(row) for row in reader.find(tables.members, *_known(who, image))]

    def show(self, who: Principal, image_id: str, member_id: str) -> Member:
        """One member of an image.

        Raises: NotFound, also for a member that the caller may not know of; Forbidden for an image that is not shared.
        """
        with self._store.read() as reader:
            return _member(reader, who, _shared(reader, who, image_id), member_id)

    def update(self, who: Principal, image_id: str, member_id: str, status: str) -> Member:
        """Say something else to an image that is shared with the caller.

        Raises: as :meth:`show`; Invalid for what cannot be said.
        """
        if status not in STATUSES:
            raise Invalid('Incorrect request: Status must be "pending", "accepted" or "rejected".', status_told=status)
        with self._store.begin() as tx:
            member = _member(tx, who, _shared(tx, who, image_id), member_id)
            tx.update(tables.members, *_is(image_id, member_id), status=status, updated_at=clock.utcnow())
            return _member(tx, who, books.image_of(tx, who, member.image_id), member_id)

    def remove(self, who: Principal, image_id: str, member_id: str) -> None:
        """Share an image no longer.

        Raises: as :meth:`show`.
        """
        with self._store.begin() as tx:
            _member(tx, who, _shared(tx, who, image_id), member_id)
            tx.delete(tables.members, *_is(image_id, member_id))


def _shared(reader: Reader, who: Principal, image_id: str) -> Image:
    image = books.image_of(reader, who, image_id)
    if image.visibility != "shared":
        raise Forbidden("Only shared images have members.", image=image_id)
    return image


def _known(who: Principal, image: Image) -> list[Where]:
    """The members that the caller may know of."""
    members = tables.members.c
    known = [members.image_id == image.id]
    if not who.is_admin and image.owner != who.project_id:
        known.append(members.member_id == (who.project_id or ""))
    return known


def _is(image_id: str, member_id: str) -> list[Where]:
    return [tables.members.c.image_id == image_id, tables.members.c.member_id == member_id]


def _member(reader: Reader, who: Principal, image: Image, member_id: str) -> Member:
    rows = reader.find(tables.members, *_known(who, image), tables.members.c.member_id == member_id)
    if not rows:
        raise NotFound(f"{member_id} not found in the member list of the image {image.id}.", member=member_id)
    return books.member(rows[0])
