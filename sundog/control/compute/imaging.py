"""Images that are made of servers: their records, in the transactions that ask for them.

An action that makes an image has its id as ``args["new_image"]``: whatever puts an end to the action takes the image
away with it, unless it has its data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import exists

from sundog.control.compute.records import Action, Caller, Server
from sundog.control.compute.work import Parts
from sundog.control.image.books import any_image
from sundog.control.image.records import NewImage
from sundog.control.image.states import WITH_DATA
from sundog.control.principal import Principal
from sundog.control.store import Reader, Tx
from sundog.control.store.tables import image as tables
from sundog.errors import NotFound

NEW_IMAGE: Final = "new_image"
SNAPSHOT: Final = "snapshot"
BACKUP: Final = "backup"
BACKUP_TYPE: Final = "backup_type"

DISK_FORMAT: Final = "qcow2"
"""What a snapshot is: said before it is taken, since what arrives is compared with it."""

_OURSELVES: Final = Principal("", roles=("admin",))

# Nova's: what is about one image's data and not about those made of it, or where its disks came from.
_NOT_INHERITED: Final = (
    "cache_in_nova",
    "bittorrent",
    "img_signature",
    "img_signature_hash_method",
    "img_signature_key_type",
    "img_signature_certificate_uuid",
    "cinder_encryption_key_id",
    "cinder_encryption_key_deletion_policy",
    "mappings",
    "block_device_mapping",
    "img_mappings",
    "img_block_device_mapping",
)
_NOT_INHERITED_NAMESPACE: Final = "os_glance"


def new_image(
    tx: Tx, parts: Parts, caller: Caller, server: Server, name: str, *, kind: str, more: Mapping[str, str]
) -> str:
    """Make the record of an image of a server; returns its id. ``kind`` is ``snapshot`` or ``backup``.

    It is the caller's, and shared with the server's owner where that is somebody else. ``more`` are properties that
    take precedence over those inherited from the server's own image.
    Raises: TooLarge for more properties than are allowed.
    """
    base = server.image
    stranger = caller.project_id != server.project_id
    image = parts.images.create(
        NewImage(
            owner=caller.project_id,
            name=name,
            visibility="shared" if stranger else "private",
            disk_format=DISK_FORMAT,
            container_format="bare",
            min_disk=max(server.flavor.root_gb, 0 if base is None else base.min_disk_gb),
            min_ram=0 if base is None else base.min_ram_mb,
            properties=_properties(caller, server, kind, more),
        ),
        tx=tx,
    )
    if stranger:
        parts.images.members.add(caller.principal, image.id, server.project_id, tx=tx)
    return image.id


def _properties(caller: Caller, server: Server, kind: str, more: Mapping[str, str]) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in ({} if server.image is None else server.image.properties).items()
        if name not in _NOT_INHERITED and not name.startswith(_NOT_INHERITED_NAMESPACE)
    }
    properties = inherited | {
        "instance_uuid": server.id,
        "user_id": caller.user_id,
        "owner_id": server.project_id,
        "image_type": kind,
        "image_location": "snapshot",
        "image_state": "available",
    }
    if server.image is not None:
        properties["base_image_ref"] = inherited.get("base_image_ref", server.image.id)
    if caller.project_id != server.project_id:
        properties["instance_owner"] = server.project_id
    return properties | dict(more)


def backups(reader: Reader, action: Action, backup_type: str) -> list[str]:
    """The ids of the backups of this type of an action's server that have their data, the newest first.

    Only those of the project that asks: what others call a backup of it is not counted, let alone deleted.
    """
    i, wanted = tables.images.c, {"image_type": BACKUP, BACKUP_TYPE: backup_type, "instance_uuid": action.server_id}
    where = [i.owner == action.project_id, i.status.in_(WITH_DATA), i.protected.is_(False)]
    for name, value in wanted.items():
        p = tables.properties.alias().c
        where.append(exists().where(p.image_id == i.id, p.name == name, p.value == value))
    order = (i.created_at.desc(), i.id.desc())
    return [row["id"] for row in reader.find(tables.images, *where, order_by=order)]


def drop_image(tx: Tx, parts: Parts, action: Action) -> None:
    """Take away the image that an action was to make, unless it has its data or is gone already."""
    image_id = action.args.get(NEW_IMAGE)
    image = None if image_id is None else any_image(tx, image_id)
    if image is not None and image.status not in WITH_DATA and not image.protected:
        delete_image(tx, parts, image.id)


def drop_shelved_image(tx: Tx, parts: Parts, server: Server) -> None:
    """Take away the image that a server was shelved to, if it was, and that is there still."""
    shelved = server.kept.get("shelved_image")
    image = None if shelved is None else any_image(tx, shelved["id"])
    if image is not None and not image.protected:
        delete_image(tx, parts, image.id)


def delete_image(tx: Tx, parts: Parts, image_id: str) -> None:
    """Delete an image, whose ever it is; one that is gone is fine."""
    try:
        parts.images.delete(_OURSELVES, image_id, tx=tx)
    except NotFound:
        return
