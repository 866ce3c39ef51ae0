"""What ``/v2/schemas`` tells: JSON schemas by which Glance's clients check and show images and members."""

from __future__ import annotations

from typing import Any, Final

from sundog.api.image.schemas import UUID
from sundog.control.image.inspection import CONTAINER_FORMATS, DISK_FORMATS
from sundog.control.image.members import STATUSES
from sundog.control.image.states import NEXT


def _text(description: str, *, most: int | None = None, none: bool = False, **more: Any) -> dict[str, Any]:
    length = {} if most is None else {"maxLength": most}
    return {"type": ["null", "string"] if none else "string", "description": description, **length, **more}


def _shown(described: dict[str, Any]) -> dict[str, Any]:
    return {**described, "readOnly": True}


_NUMBER: Final = {"type": ["null", "integer"]}

_IMAGE: Final[dict[str, Any]] = {
    "id": _text("The image's id", pattern=UUID),
    "name": _text("What people call it", most=255, none=True),
    "status": _shown(_text("Its state", enum=list(NEXT))),
    "visibility": _text("Who may see it", enum=["community", "public", "private", "shared"]),
    "protected": {"type": "boolean", "description": "Whether it cannot be deleted"},
    "os_hidden": {"type": "boolean", "description": "Whether lists leave it out unless they are asked for it"},
    "checksum": _shown(_text("MD5 of its data", most=32, none=True)),
    "os_hash_algo": _shown(_text("By what os_hash_value was made", most=64, none=True)),
    "os_hash_value": _shown(_text("The hash of its data, in hexadecimal", most=128, none=True)),
    "owner": _text("The project whose it is", most=255, none=True),
    "size": _shown({**_NUMBER, "description": "Bytes of its data"}),
    "virtual_size": _shown({**_NUMBER, "description": "Bytes of the disk that its data describe"}),
    "container_format": _text("What the disk is wrapped in", none=True, enum=[None, *CONTAINER_FORMATS]),
    "disk_format": _text("The format of the disk", none=True, enum=[None, *DISK_FORMATS]),
    "created_at": _shown(_text("When it was made")),
    "updated_at": _shown(_text("When it was last changed")),
    "tags": {"type": "array", "description": "Its tags", "items": {"type": "string", "maxLength": 255}},
    "min_ram": {"type": "integer", "description": "MiB of memory that a server from it needs"},
    "min_disk": {"type": "integer", "description": "GiB of disk that a server from it needs"},
    "self": _shown(_text("Its address")),
    "file": _shown(_text("The address of its data")),
    "stores": _shown(_text("The store that has its data")),
    "schema": _shown(_text("The address of this schema")),
}

_MEMBER: Final[dict[str, Any]] = {
    "member_id": _text("The project that it is shared with"),
    "image_id": _text("The image's id", pattern=UUID),
    "status": _text("What the project says to it", enum=list(STATUSES)),
    "created_at": _text("When it was shared"),
    "updated_at": _text("When it was last changed"),
    "schema": {"type": "string", "readOnly": True},
}

IMAGE: Final[dict[str, Any]] = {
    "name": "image",
    "properties": _IMAGE,
    "additionalProperties": {"type": "string"},
    "links": [
        {"rel": "self", "href": "{self}"},
        {"rel": "enclosure", "href": "{file}"},
        {"rel": "describedby", "href": "{schema}"},
    ],
}
MEMBER: Final[dict[str, Any]] = {"name": "member", "properties": _MEMBER}


def _collection(name: str, item: dict[str, Any], *, pages: bool) -> dict[str, Any]:
    page = ("first", "next") if pages else ()
    return {
        "name": name,
        "properties": {
            name: {"type": "array", "items": item},
            **{each: {"type": "string"} for each in (*page, "schema")},
        },
        "links": [{"rel": each, "href": f"{{{each}}}"} for each in page] + [{"rel": "describedby", "href": "{schema}"}],
    }


BY_NAME: Final = {
    "image": IMAGE,
    "images": _collection("images", IMAGE, pages=True),
    "member": MEMBER,
    "members": _collection("members", MEMBER, pages=False),
}
"""The schemas, by the last part of their address."""

_POINTER: Final = {"type": "string", "pattern": "^/[^/~]+$"}
_NEWER: Final = {
    "type": "object",
    "properties": {"op": {"enum": ["add", "remove", "replace"]}, "path": _POINTER, "value": {}},
    "required": ["op", "path"],
}
_OLDER: Final = {
    "oneOf": [
        {"type": "object", "properties": {op: _POINTER, "value": {}}, "required": [op]}
        for op in ("add", "remove", "replace")
    ]
}
PATCHES: Final = {
    "application/openstack-images-v2.0-json-patch": {"type": "array", "items": _OLDER},
    "application/openstack-images-v2.1-json-patch": {"type": "array", "items": _NEWER},
}
"""The two forms of a PATCH, by their media types; see ``patch``."""

DATA: Final = {"application/octet-stream": {"type": "string", "format": "binary"}}
"""The data of an image."""
