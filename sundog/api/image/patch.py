"""PATCH: a list of changes to an image, in the two forms that Glance's clients send.

``application/openstack-images-v2.1-json-patch`` has ``{"op": "add", "path": "/name", "value": ...}``, the older
``v2.0`` has ``{"add": "/name", "value": ...}``. All changes are made or none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from sundog.api.image.schemas import Fields, check_length, check_writable
from sundog.api.kit.bodies import parse_body
from sundog.control.image.records import Image
from sundog.control.image.states import QUEUED
from sundog.errors import Conflict, Forbidden, Invalid, Unsupported

MEDIA_TYPES: Final = (
    "application/openstack-images-v2.0-json-patch",
    "application/openstack-images-v2.1-json-patch",
)

ECHOED: Final = "stores"
"""What openstacksdk sends back as it was shown. Glance takes it and shows its own all the same."""

_OPERATIONS: Final = ("add", "remove", "replace")
_ATTRIBUTES: Final = tuple(name for name in Fields.model_fields if name in {each.name for each in fields(Image)})


@dataclass(frozen=True, slots=True)
class Change:
    """One change: ``op`` is add, remove or replace. ``strict`` is the older form, which adds only what is not there."""

    op: str
    name: str
    value: Any = None
    strict: bool = False


def parsed(data: bytes, content_type: str) -> list[Change]:
    """The changes in a body.

    Raises: Unsupported for a body of another kind; Invalid; Forbidden for what no client may change.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in MEDIA_TYPES:
        raise Unsupported(f"Image PATCH expects Content-Type one of: {', '.join(MEDIA_TYPES)}", media_type=kind)
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        raise Invalid("Malformed request body: it is not JSON") from None
    if not isinstance(told, list):
        raise Invalid("Request body must be a JSON array of operation objects.")
    changes = [_change(each, strict=kind == MEDIA_TYPES[0]) for each in told]
    return [change for change in changes if change.name != ECHOED]


def applied(image: Image, changes: Sequence[Change], *, is_admin: bool, allow: Callable[[str, Any], None]) -> Image:
    """The image after the changes. ``allow`` is asked for each and raises what speaks against it.

    Raises: Conflict for a property that is there or is not; Forbidden for an attribute that stays.
    """
    for change in changes:
        if change.name == "owner" and not is_admin:
            raise Forbidden("Owner can't be updated by non admin.")
        allow(change.name, change.value)
        image = _attribute(image, change) if change.name in _ATTRIBUTES else _property(image, change)
    return image


def _attribute(image: Image, change: Change) -> Image:
    if change.op == "remove":
        raise Forbidden(f"Property {change.name} may not be removed.", attribute=change.name)
    if change.op == "add" and change.strict:
        raise Conflict(f"Property {change.name} already present.", attribute=change.name)
    if change.name in ("disk_format", "container_format") and image.status != QUEUED:
        raise Forbidden(f"Attribute {change.name} can be only replaced for a queued image.", attribute=change.name)
    value: Any = tuple(sorted(set(change.value))) if change.name == "tags" else change.value
    changed: dict[str, Any] = {change.name: value}
    return replace(image, **changed)


def _property(image: Image, change: Change) -> Image:
    there = change.name in image.properties
    if change.op == "add" and change.strict and there:
        raise Conflict(f"Property {change.name} already present.", attribute=change.name)
    if change.op != "add" and not there:
        raise Conflict(f"Property {change.name} does not exist.", attribute=change.name)
    properties = {name: value for name, value in image.properties.items() if name != change.name}
    if change.op != "remove":
        properties[change.name] = change.value
    return replace(image, properties=properties)


def _change(told: Any, *, strict: bool) -> Change:
    if not isinstance(told, dict):
        raise Invalid("Operations must be JSON objects.")
    op, pointer = _strict_operation(told) if strict else _operation(told)
    path = _path(pointer)
    if len(path) != 1:
        raise Invalid(f"Invalid JSON pointer for this resource: '/{'/'.join(path)}'")
    name = path[0]
    if op != "remove" and "value" not in told:
        raise Invalid(f'Operation "{op}" requires a member named "value".')
    if name == "id":
        raise Forbidden("Attribute 'id' is read-only.", attribute="id")
    if name == ECHOED:
        return Change(op, name)
    check_writable(name)
    if op == "remove":
        return Change(op, name, strict=strict)
    check_length(name)
    # One attribute is checked as in an image to be made.
    parse_body(Fields, json.dumps({name: told["value"]}).encode())
    return Change(op, name, told["value"], strict)


def _operation(told: dict[str, Any]) -> tuple[str, Any]:
    op = told.get("op")
    if op not in _OPERATIONS:
        raise Invalid(f"Invalid operation: `{op}`. It must be one of the following: {', '.join(_OPERATIONS)}.")
    if "path" not in told:
        raise Invalid("Unable to find 'path' in JSON Schema change")
    return op, told["path"]


def _strict_operation(told: dict[str, Any]) -> tuple[str, Any]:
    operations = [op for op in _OPERATIONS if op in told]
    if len(operations) != 1:
        raise Invalid('Operation objects must contain exactly one member named "add", "remove", or "replace".')
    return operations[0], told[operations[0]]


def _path(pointer: Any) -> list[str]:
    """The parts of a JSON pointer, which says ``~1`` for a slash and ``~0`` for a tilde."""
    if not isinstance(pointer, str) or not pointer.startswith("/"):
        raise Invalid(f'Pointer `{pointer}` does not start with "/".')
    if re.search(r"/\s*/", pointer):
        raise Invalid(f'Pointer `{pointer}` contains adjacent "/".')
    if len(pointer) > 1 and pointer.endswith("/"):
        raise Invalid(f'Pointer `{pointer}` end with "/".')
    if re.search("~(?![01])", pointer):
        raise Invalid(f'Pointer `{pointer}` contains "~" not part of a recognized escape sequence.')
    return [part.replace("~1", "/").replace("~0", "~").strip() for part in pointer[1:].split("/")]
