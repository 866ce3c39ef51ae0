"""The states of an image, and which may follow which, as in Glance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sundog.control.image.records import Image
from sundog.errors import Conflict, Invalid

QUEUED: Final = "queued"
SAVING: Final = "saving"
UPLOADING: Final = "uploading"
IMPORTING: Final = "importing"
ACTIVE: Final = "active"
DEACTIVATED: Final = "deactivated"
DELETED: Final = "deleted"

NEXT: Final[Mapping[str, tuple[str, ...]]] = {
    QUEUED: (SAVING, UPLOADING, DELETED),
    SAVING: (ACTIVE, QUEUED, DELETED),
    UPLOADING: (IMPORTING, QUEUED, DELETED),
    IMPORTING: (ACTIVE, QUEUED, DELETED),
    ACTIVE: (DEACTIVATED, DELETED),
    DEACTIVATED: (ACTIVE, DELETED),
    DELETED: (),
}
"""Each legal step."""

WITH_DATA: Final = (ACTIVE, DEACTIVATED)
"""The states in which there are data to be had."""


def check_step(image: Image, to: str) -> None:
    """Raises: Conflict if an image cannot go to the state ``to`` from the one it is in; Invalid if its data cannot be
    taken in before its formats are known.
    """
    if to not in NEXT[image.status]:
        raise Conflict(
            f"Image status transition from {image.status} to {to} is not allowed",
            image=image.id,
            status_now=image.status,
        )
    if to in (SAVING, IMPORTING):
        missing = [name for name in ("disk_format", "container_format") if not getattr(image, name)]
        if missing:
            noun = "Property" if len(missing) == 1 else "Properties"
            raise Invalid(f"{noun} {', '.join(missing)} must be set prior to saving data.", missing=missing)
